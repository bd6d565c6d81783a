"""`meshapi local`: serve the local gateway until Ctrl-C."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
import threading
from contextlib import suppress
from pathlib import Path

from meshapi.cli.ending import WrongUsage
from meshapi.cli.printing import tell
from meshapi.cli.statuses import OK
from meshapi.errors import ConfigurationError
from meshapi.local import LocalGateway
from meshapi.local.environment import past_proxies

_UPSTREAM_TOKEN = "MESHAPI_UPSTREAM_TOKEN"
"""Not an option: the list of processes would show it."""


def run(options: argparse.Namespace) -> int:
    """Print what a client needs, and serve it."""
    gateway = _gateway(options)
    try:
        gateway.start()
    except ModuleNotFoundError as missing:
        raise WrongUsage(missing) from None
    except OSError as error:
        why = f"Port {options.port} cannot be used ({error.strerror}): try --port 0"
        raise WrongUsage(why) from None
    with gateway, suppress(KeyboardInterrupt):
        print(f"export {' '.join(_variables(gateway))}")
        sys.stdout.flush()
        tell("Serving until Ctrl-C. Paste the line above into another terminal.")
        threading.Event().wait()
    return OK


def _variables(gateway: LocalGateway) -> list[str]:
    """What makes any client of this machine call the gateway, also past a proxy."""
    named = {"MESHAPI_BASE_URL": gateway.base_url, "MESHAPI_TOKEN": gateway.token}
    if any(os.environ.get(name) for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")):
        named |= past_proxies()
    return [f"{name}={shlex.quote(value)}" for name, value in named.items()]


def _gateway(options: argparse.Namespace) -> LocalGateway:
    script = _script(options)
    try:
        gateway = _made(options)
    except ConfigurationError as error:
        raise WrongUsage(f"--upstream: {error}") from None
    gateway.limit(rpm=options.rpm, rpd=options.rpd, spend_cap_usd=options.spend_cap)
    for name in options.model:
        gateway.add_model(name)
    for name, text in options.template:
        gateway.add_template(name, text)
    if script is not None:
        _load(gateway, script, options.script)
    return gateway


def _made(options: argparse.Namespace) -> LocalGateway:
    return LocalGateway(
        token=options.token,
        port=options.port,
        tokens_per_second=options.tokens_per_second,
        answers=options.answers,
        upstream=options.upstream,
        upstream_token=os.environ.get(_UPSTREAM_TOKEN) or None,
        log=tell,
    )


def _script(options: argparse.Namespace) -> str | None:
    if options.script is None:
        if options.answers == "script":
            raise WrongUsage("--answers script needs --script FILE")
        return None
    try:
        return Path(options.script).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise WrongUsage(f"{options.script} cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise WrongUsage(f"{options.script} is no UTF-8 text") from None


def _load(gateway: LocalGateway, script: str, name: str) -> None:
    try:
        gateway.load_script(script)
    except ValueError as problem:
        raise WrongUsage(f"{name}: {problem}") from None
