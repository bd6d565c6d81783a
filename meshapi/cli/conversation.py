"""A conversation with a model: what was said, and the next question and its answer."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from pydantic import ValidationError

from meshapi._core.call import CallOptions, summary
from meshapi.cli.pages import new_page
from meshapi.cli.printing import shown, tell
from meshapi.errors import InvalidRequest
from meshapi.resources.chat.messages import ChatMessage
from meshapi.resources.chat.params import ChatCompletionParams

if TYPE_CHECKING:
    from meshapi._client import MeshAPI
    from meshapi.resources.chat.replies import ChatCompletionResponse

_SAME_NAMES = ("model", "template", "temperature", "max_tokens", "seed")


class Conversation:
    """What was said so far, and how the model is asked."""

    def __init__(self, client: MeshAPI, options: argparse.Namespace) -> None:
        """Begin with what the options say."""
        self._completions = client.chat.completions
        self._fields = _fields(options)
        self._options: CallOptions = {} if options.timeout is None else {"timeout": options.timeout}
        self._answer = self._whole if options.json else self._streamed
        self._messages: list[ChatMessage] = []
        if options.system is not None:
            self._messages.append(ChatMessage(role="system", content=options.system))

    def ask(self, question: str) -> None:
        """Ask, print the answer and what it cost, and remember both.

        An answer that is interrupted is remembered as far as it came; a question that has no answer
        is forgotten.
        """
        asked = ChatMessage(role="user", content=question)
        begun = time.monotonic()
        completion = self._answer(asked)
        _tell_cost(completion, time.monotonic() - begun)

    def _whole(self, asked: ChatMessage) -> ChatCompletionResponse:
        completion = self._completions.create(self._params(asked), **self._options)
        print(shown(completion.model_dump_json(exclude_unset=True), sys.stdout), flush=True)
        self._remember(asked, completion)
        return completion

    def _streamed(self, asked: ChatMessage) -> ChatCompletionResponse:
        pieces: list[str] = []
        page = new_page()
        try:
            with self._completions.stream(self._params(asked), **self._options) as stream:
                for piece in stream.text_stream:
                    pieces.append(piece)
                    page.write(piece)
                completion = stream.final()
            if refusal := _refusal(completion):
                page.write(refusal)
        except KeyboardInterrupt:
            self._remember_part(asked, "".join(pieces))
            raise
        finally:
            page.end()
        self._remember(asked, completion)
        return completion

    def _params(self, asked: ChatMessage) -> ChatCompletionParams:
        try:
            return ChatCompletionParams.model_validate(
                {**self._fields, "messages": [*self._messages, asked]}
            )
        except ValidationError as problem:
            reason = summary(problem)
        raise InvalidRequest(f"The request does not fit: {reason}")

    def _remember(self, asked: ChatMessage, completion: ChatCompletionResponse) -> None:
        if completion.choices:
            self._messages += [asked, completion.choices[0].message]

    def _remember_part(self, asked: ChatMessage, text: str) -> None:
        if text:
            self._messages += [asked, ChatMessage(role="assistant", content=text)]


def _fields(options: argparse.Namespace) -> Mapping[str, object]:
    given = {name: getattr(options, name) for name in _SAME_NAMES}
    fields = {name: value for name, value in given.items() if value is not None}
    return {**fields, "variables": dict(options.var)} if options.var else fields


def _refusal(completion: ChatCompletionResponse) -> str:
    """What the model said instead of an answer, if it did."""
    if completion.text or not completion.choices:
        return ""
    return completion.choices[0].message.refusal or ""


def _tell_cost(completion: ChatCompletionResponse, seconds: float) -> None:
    from meshapi.resources.chat.replies import told_cost  # The answer has brought it along.

    usage = completion.usage
    cost = told_cost(completion)
    facts = [
        f"{usage.prompt_tokens} tokens in, {usage.completion_tokens} out" if usage else "",
        "" if cost is None else f"${cost:f}",
        completion.model,
        f"{seconds:.1f} s",
        completion.meta.request_id or "",
    ]
    tell(" · ".join(filter(None, facts)), dim=True)
