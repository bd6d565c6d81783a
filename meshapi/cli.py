"""The command line: `meshapi local` serves the local gateway."""

from __future__ import annotations

import argparse
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line, and return its exit status."""
    options = _parser().parse_args(arguments)
    return int(options.run(options))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="meshapi", description="The Mesh API from a terminal.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    local = commands.add_parser(
        "local",
        help="serve the local gateway",
        description="Serve a gateway on loopback that needs no account. Its answers are nonsense.",
    )
    local.add_argument("--port", type=int, default=8321, help="where to listen (8321)")
    local.add_argument("--token", default="rsk_local", help="the key to accept (rsk_local)")
    local.add_argument("--rpm", type=int, help="requests per minute before 429")
    local.add_argument("--spend-cap", metavar="USD", help="US dollars before 402")
    local.set_defaults(run=_serve)
    return parser


def _serve(options: argparse.Namespace) -> int:
    from meshapi.local import LocalGateway  # A server: only who serves pays for its import.

    gateway = LocalGateway(token=options.token, port=options.port, tokens_per_second=40)
    gateway.add_key(options.token, rpm=options.rpm, spend_cap_usd=options.spend_cap)
    with gateway, suppress(KeyboardInterrupt):
        print(f"export MESHAPI_BASE_URL={gateway.base_url} MESHAPI_TOKEN={options.token}")
        print("Serving until Ctrl-C. Paste the line above into another terminal.", file=sys.stderr)
        sys.stdout.flush()
        threading.Event().wait()
    return 0
