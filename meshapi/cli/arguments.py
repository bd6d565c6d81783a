"""What may stand behind `meshapi`: the commands, their options, and what an option's value is."""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation

from meshapi._core.checks import is_token
from meshapi._version import __version__


def parser() -> argparse.ArgumentParser:
    """What reads the arguments; `command` names the module that runs them."""
    parser = argparse.ArgumentParser(
        prog="meshapi",
        description="The Mesh API from a terminal. MESHAPI_TOKEN holds the key.",
    )
    parser.add_argument("--version", action="version", version=f"meshapi {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", dest="command")
    for name, (summary, description, fill) in _COMMANDS.items():
        fill(commands.add_parser(name, help=summary, description=description))
    return parser


def _fill_chat(chat: argparse.ArgumentParser) -> None:
    chat.add_argument("question", nargs="*", metavar="QUESTION", help="its words")
    chat.add_argument("--model", help="who answers, else the key's own model")
    chat.add_argument("--system", metavar="TEXT", help="how the model is to behave")
    chat.add_argument("--template", metavar="NAME", help="a stored prompt to expand")
    _add_pairs(chat, "--var", "NAME=VALUE", "a value for the template")
    chat.add_argument("--temperature", metavar="N", type=_number, help="0 to 2")
    chat.add_argument("--max-tokens", metavar="N", type=_count, help="how long an answer may be")
    chat.add_argument("--seed", metavar="N", type=_whole, help="ask for the same answer again")
    chat.add_argument("--timeout", metavar="SECONDS", type=_positive, help="how long to wait (310)")
    chat.add_argument("--json", action="store_true", help="print the whole answer as JSON")
    chat.add_argument("--local", action="store_true", help=_LOCAL)


def _fill_local(local: argparse.ArgumentParser) -> None:
    local.add_argument("--port", type=_port, default=8321, help="where to listen (8321)")
    local.add_argument("--token", type=_token, default="rsk_local", help="the key (rsk_local)")
    local.add_argument("--rpm", metavar="N", type=_count, help="requests per minute before 429")
    local.add_argument("--rpd", metavar="N", type=_count, help="requests per day before 429")
    local.add_argument("--spend-cap", metavar="USD", type=_dollars, help="US dollars before 402")
    local.add_argument(
        "--answers",
        choices=["babble", "echo", "script"],
        default="babble",
        help="who answers what no script does (babble); `script` is nobody",
    )
    local.add_argument("--script", metavar="FILE", help="what to answer first, one JSON line each")
    local.add_argument("--upstream", metavar="URL", help="a server that answers instead")
    local.add_argument(
        "--model", metavar="NAME", action="append", default=[], help="another model to serve"
    )
    _add_pairs(local, "--template", "NAME=TEXT", "a stored prompt")
    local.add_argument(
        "--tokens-per-second", metavar="N", type=_positive, default=40.0, help="of a stream (40)"
    )


def _fill_doctor(doctor: argparse.ArgumentParser) -> None:
    doctor.add_argument("--model", help="who is called, else the key's own model")
    doctor.add_argument("--no-call", action="store_true", help="make no call: it costs a token")


def _fill_models(models: argparse.ArgumentParser) -> None:
    models.add_argument("text", nargs="?", default="", metavar="TEXT", help="what the id holds")
    models.add_argument("--free", action="store_true", help="only those that cost nothing")
    models.add_argument("--type", help="text, embedding, image, audio or video")
    models.add_argument("--provider", help="who serves them")
    models.add_argument("--json", action="store_true", help="print them as one JSON array")
    models.add_argument("--local", action="store_true", help=_LOCAL)


def _add_pairs(command: argparse.ArgumentParser, name: str, form: str, what: str) -> None:
    command.add_argument(name, metavar=form, type=_pair, action="append", default=[], help=what)


_LOCAL = "ask a gateway inside this process: no key, no network, nonsense for answers"

_COMMANDS: Mapping[str, tuple[str, str, Callable[[argparse.ArgumentParser], None]]] = {
    "chat": (
        "ask a model",
        "Ask one question, pipe one in, or hold a conversation if there is none.",
        _fill_chat,
    ),
    "local": (
        "serve the local gateway",
        "Serve a gateway on loopback that needs no account. Its answers are nonsense.",
        _fill_local,
    ),
    "doctor": (
        "say what is wrong with a set-up",
        "Look at versions, key, URL, proxy, DNS and TLS, make one call, compare the clocks.",
        _fill_doctor,
    ),
    "models": (
        "list the models",
        "List models: id, context in tokens, US dollars per million tokens in and out.",
        _fill_models,
    ),
}


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65_535:
        raise argparse.ArgumentTypeError("a port is a number from 0 to 65535")
    return int(text)


def _token(text: str) -> str:
    if not is_token(text):
        raise argparse.ArgumentTypeError("a token is printable ASCII without spaces")
    return text


def _count(text: str) -> int:
    if not re.fullmatch("[0-9]{1,18}", text):
        raise argparse.ArgumentTypeError("a count is a whole number, 0 or more")
    return int(text)


def _whole(text: str) -> int:
    if not re.fullmatch("-?[0-9]{1,18}", text):
        raise argparse.ArgumentTypeError("this is a whole number of up to 18 digits")
    return int(text)


def _number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise argparse.ArgumentTypeError("this is a number")
    return number


def _positive(text: str) -> float:
    number = _number(text)
    if number <= 0:
        raise argparse.ArgumentTypeError("this is a number above 0")
    return number


def _dollars(text: str) -> Decimal:
    try:
        dollars = Decimal(text)
    except InvalidOperation:
        dollars = Decimal("nan")
    if not dollars.is_finite() or dollars < 0:
        raise argparse.ArgumentTypeError("US dollars are a number, 0 or more")
    return dollars


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise argparse.ArgumentTypeError("this looks like NAME=VALUE")
    return name, value
