"""The command line: `meshapi local` serves the local gateway."""

from __future__ import annotations

import argparse
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from decimal import Decimal, InvalidOperation

from meshapi._core.checks import is_token
from meshapi._version import __version__


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line, and return its exit status: 2 where it was called wrongly."""
    options = _parser().parse_args(arguments)
    return int(options.run(options))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="meshapi", description="The Mesh API from a terminal.")
    parser.add_argument("--version", action="version", version=f"meshapi {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    local = commands.add_parser(
        "local",
        help="serve the local gateway",
        description="Serve a gateway on loopback that needs no account. Its answers are nonsense.",
    )
    local.add_argument("--port", type=_port, default=8321, help="where to listen (8321)")
    local.add_argument("--token", type=_token, default="rsk_local", help="the key (rsk_local)")
    local.add_argument("--rpm", type=_count, help="requests per minute before 429")
    local.add_argument("--spend-cap", metavar="USD", type=_dollars, help="US dollars before 402")
    local.set_defaults(run=_serve)
    return parser


def _serve(options: argparse.Namespace) -> int:
    try:
        from meshapi.local import LocalGateway  # A server: only who serves pays for its import.

        gateway = LocalGateway(token=options.token, port=options.port, tokens_per_second=40)
        gateway.add_key(options.token, rpm=options.rpm, spend_cap_usd=options.spend_cap)
        gateway.start()
    except ModuleNotFoundError as missing:
        return _fail(str(missing))
    except OSError as error:
        return _fail(f"Port {options.port} cannot be used ({error.strerror}): try --port 0")
    with gateway, suppress(KeyboardInterrupt):
        print(f"export MESHAPI_BASE_URL={gateway.base_url} MESHAPI_TOKEN={options.token}")
        print("Serving until Ctrl-C. Paste the line above into another terminal.", file=sys.stderr)
        sys.stdout.flush()
        threading.Event().wait()
    return 0


def _fail(why: str) -> int:
    print(f"meshapi: {why}", file=sys.stderr)
    return 2


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65_535:
        raise argparse.ArgumentTypeError("a port is a number from 0 to 65535")
    return int(text)


def _token(text: str) -> str:
    if not is_token(text):
        raise argparse.ArgumentTypeError("a token is printable ASCII without spaces")
    return text


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError("a count is a whole number, 0 or more")
    return int(text)


def _dollars(text: str) -> Decimal:
    try:
        dollars = Decimal(text)
    except InvalidOperation:
        dollars = Decimal("nan")
    if not dollars.is_finite() or dollars < 0:
        raise argparse.ArgumentTypeError("US dollars are a number, 0 or more")
    return dollars
