"""`meshapi chat`: one question, one through a pipe, or a conversation."""

from __future__ import annotations

import argparse
import sys
from contextlib import suppress
from importlib import import_module

from meshapi.cli.clients import LOCAL_MODEL, client_for
from meshapi.cli.conversation import Conversation
from meshapi.cli.ending import WrongUsage, told
from meshapi.cli.printing import tell
from meshapi.cli.statuses import OK
from meshapi.errors import MeshAPIError

_PROMPT = "> "


def run(options: argparse.Namespace) -> int:
    """Answer the question, or questions until there are no more."""
    question = _question(options.question)
    if options.local:
        tell(f"Answers are nonsense, made on this machine by {LOCAL_MODEL}.", dim=True)
    with client_for(local=options.local) as client:
        conversation = Conversation(client, options)
        if question is None:
            return _converse(conversation)
        conversation.ask(question)
        return OK


def _question(words: list[str]) -> str | None:
    """The question in the arguments and in what is piped in; None where both are left out."""
    # Bytes that are no text in this locale are replaced, as they are where they are piped in.
    said = " ".join(words).encode(errors="surrogateescape").decode(errors="replace")
    is_open = sys.stdin is not None and sys.stdin.isatty()
    if is_open and not words:
        return None
    piped = "" if is_open or sys.stdin is None else sys.stdin.read()
    question = "\n\n".join(each for each in (said, piped) if each.strip())
    if not question:
        raise WrongUsage("There is no question: write one, or pipe one in")
    return question


def _converse(conversation: Conversation) -> int:
    with suppress(ImportError):
        import_module("readline")  # It is what makes arrow keys work in `input`.
    tell("Ctrl-C ends an answer, Ctrl-D the conversation.", dim=True)
    while True:
        try:
            question = _next_question()
        except EOFError:
            tell("")
            return OK
        except KeyboardInterrupt:  # The line is dropped, as in a shell.
            tell("")
            continue
        if question.strip():
            _ask(conversation, question)


def _ask(conversation: Conversation, question: str) -> None:
    try:
        conversation.ask(question)
    except KeyboardInterrupt:
        tell("")
    except MeshAPIError as error:
        told(error)


def _next_question() -> str:
    if sys.stdout.isatty():
        return input(_PROMPT)
    # `input` would write it to stdout, which holds the answers alone.
    sys.stderr.write(_PROMPT)
    sys.stderr.flush()
    return input()
