"""What the doctor looks at: versions, key, URL, proxy, DNS, connection, a call, and the clock."""

from __future__ import annotations

import enum
import os
import platform
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from importlib.metadata import version
from pathlib import Path
from urllib.parse import urlsplit

import meshapi
from meshapi._client import MeshAPI
from meshapi._core.connections.routes import Routes
from meshapi._core.meta import Meta
from meshapi._core.settings import NO_TOKEN, Settings, token_variable
from meshapi._core.token import Token
from meshapi._version import __version__
from meshapi.cli.network import addresses_of, connect
from meshapi.cli.statuses import OK, advice_on, status_of
from meshapi.errors import (
    APIStatusError,
    ConfigurationError,
    ConnectionFailed,
    InvalidResponse,
    MeshAPIError,
    SpendLimitExceeded,
    Unauthorized,
)
from meshapi.resources.chat.params import ChatCompletionParams

_CALL_SECONDS = 30
_CLOCK_SECONDS = 60
_PORTS = {"http": 80, "https": 443}
_LOOPBACK = ("127.", "::1", "localhost")


class Verdict(enum.Enum):
    """What a look at something shows; the value is how it is printed."""

    OK = "ok"
    FAILED = "!!"
    DOUBTFUL = "??"
    SKIPPED = "--"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one look showed, what to do about it, and the exit status that it calls for."""

    verdict: Verdict
    what: str
    detail: str
    advice: str = ""
    status: int = OK


class _Doubt(Exception):
    """Something works, but may not be what is wanted; the arguments are the detail and advice."""


class _Skip(Exception):
    """There is nothing to look at; its text says why."""


def examine(model: str | None, *, makes_call: bool) -> Iterator[Finding]:
    """Look at one thing after the other; what rests on something broken is skipped."""
    visit = _Visit(model)
    broken: set[str] = set()
    for what, look, needs in visit.looks():
        if what == "call" and not makes_call:
            finding = Finding(Verdict.SKIPPED, what, "not made, as you said")
        elif missing := [each for each in needs if each in broken]:
            finding = Finding(Verdict.SKIPPED, what, f"not looked at without: {missing[0]}")
        else:
            finding = _found(what, look, visit.place_of(what))
        if finding.status:
            broken.add(what)
        yield finding


def _found(what: str, look: Callable[[], str], place: str) -> Finding:
    try:
        return Finding(Verdict.OK, what, look())
    except _Skip as why:
        return Finding(Verdict.SKIPPED, what, str(why))
    except _Doubt as doubt:
        detail, advice = doubt.args
        return Finding(Verdict.DOUBTFUL, what, detail, advice)
    except MeshAPIError as error:
        detail = f"{error} ({type(error).__name__})" if what == "call" else str(error)
        return Finding(Verdict.FAILED, what, detail, _advice(place, error), status_of(error))


class _Visit:
    """What is known so far of the way to the gateway."""

    def __init__(self, model: str | None) -> None:
        self._model = model
        self._url = ""
        self._scheme = ""
        self._host = ""
        self._port = 0
        self._is_loopback = False
        self._routes: Routes | None = None
        self._proxy_scheme: str | None = None
        self._answer: Meta | None = None

    def place_of(self, what: str) -> str:
        """Where to mend what is wrong: behind a proxy, the way that is looked at leads there."""
        is_way = what in {"DNS", "connection"}
        return "proxy" if is_way and self._proxy_scheme else what

    def looks(self) -> list[tuple[str, Callable[[], str], set[str]]]:
        """What is looked at, in which order, and what each rests on."""
        return [
            ("versions", _versions, set()),
            ("key", _key, set()),
            ("URL", self._look_at_url, set()),
            ("proxy", self._look_for_proxy, {"URL"}),
            ("DNS", self._look_up_name, {"URL", "proxy"}),
            ("connection", self._connect, {"URL", "proxy", "DNS"}),
            ("call", self._call, {"key", "URL", "proxy", "DNS", "connection"}),
            ("clock", self._compare_clocks, set()),
        ]

    def _look_at_url(self) -> str:
        # The key has a finding of its own.
        self._url = Settings.load({"token": Token("unused")}).base_url
        parts = urlsplit(self._url)
        self._scheme, self._host = parts.scheme, parts.hostname or ""
        self._port = parts.port or (443 if parts.scheme == "https" else 80)
        source = "from MESHAPI_BASE_URL" if os.environ.get("MESHAPI_BASE_URL") else "the default"
        detail = f"{self._url} ({source})"
        self._is_loopback = self._host.startswith(_LOOPBACK)
        if self._scheme == "http" and not self._is_loopback:
            raise _Doubt(detail, "http:// shows the key to whoever is on the way: use https://.")
        return detail

    def _look_for_proxy(self) -> str:
        self._routes = Routes({"proxy": None, "ssl_context": None, "max_connections": None})
        proxy = self._routes.proxy_to(self._scheme, self._host, self._port)
        if proxy is None:
            return "none: the way is direct"
        # From here on, the way that is looked at is the way to the proxy.
        url = proxy.url
        self._proxy_scheme, self._host = url.scheme, url.host
        self._port = url.port or _PORTS.get(url.scheme, 1080)
        password = ", with a user and password" if proxy.raw_auth else ""
        detail = f"{url.scheme}://{self._host}:{self._port} (from the environment{password})"
        if self._is_loopback:
            raise _Doubt(detail, "The URL is on this machine: add its host to NO_PROXY.")
        return detail

    def _look_up_name(self) -> str:
        addresses = addresses_of(self._host, self._port)
        if self._host in addresses:
            return "not needed: there is an address"
        return f"{self._host} is {', '.join(addresses[:3])}"

    def _connect(self) -> str:
        assert self._routes is not None
        trust = self._routes.trust_for(self._proxy_scheme or self._scheme)
        return connect(self._host, self._port, trust)

    def _call(self) -> str:
        fields = {} if self._model is None else {"model": self._model}
        params = ChatCompletionParams.model_validate(
            {**fields, "max_tokens": 1, "messages": [{"role": "user", "content": "Hi"}]}
        )
        with MeshAPI(timeout=_CALL_SECONDS, max_retries=0) as client:
            try:
                completion = client.chat.completions.create(params)
            except MeshAPIError as error:
                self._answer = error.meta
                raise
        meta = self._answer = completion.meta
        request = f"status {meta.status_code}, {meta.request_id or 'no request id'}"
        seconds = f"{meta.elapsed:.2f} s"
        name = completion.model or "a model"
        return f"{name} answered in {seconds} ({request}); it cost a token or so"

    def _compare_clocks(self) -> str:
        date = None if self._answer is None else self._answer.headers.get("date")
        if date is None:
            raise _Skip("no answer says what time it is")
        ahead = time.time() - _moment(date)
        if abs(ahead) > _CLOCK_SECONDS:
            way = "ahead of" if ahead > 0 else "behind"
            raise _Doubt(
                f"{abs(ahead):.0f} s {way} the gateway's",
                "Set this machine's clock: waits that are named as dates are read by it.",
            )
        return f"within {_CLOCK_SECONDS} s of the gateway's"


def _versions() -> str:
    others = [f"{name} {version(name)}" for name in ("httpx", "pydantic")]
    names = [f"meshapi {__version__}", f"Python {platform.python_version()}", *others]
    return f"{', '.join(names)} ({Path(meshapi.__file__).parent})"


def _key() -> str:
    name = token_variable()
    if name is None:
        raise ConfigurationError(NO_TOKEN)
    key = os.environ[name]
    Token(key, name).check()
    if key.startswith("mak_"):
        raise _Doubt(f"{name} holds an admin key", "Models are asked with the other kind: rsk_...")
    return f"{name} is set ({len(key)} characters)"


def _moment(date: str) -> float:
    try:
        return parsedate_to_datetime(date).timestamp()
    except (ValueError, OverflowError):
        raise _Skip("the answer's date is none") from None


_WHAT_TO_DO = {
    "key": "Put your key into MESHAPI_TOKEN: export MESHAPI_TOKEN=rsk_...",
    "URL": "Set MESHAPI_BASE_URL to a URL such as https://api.meshapi.ai, or unset it.",
    "proxy": "Correct HTTPS_PROXY, HTTP_PROXY or ALL_PROXY, or add the host to NO_PROXY.",
    "DNS": "Is the host in MESHAPI_BASE_URL spelt right, and is this machine online?",
    "connection": "Are scheme and port right, is it running, does a firewall stand between? "
    "A certificate of your own is trusted with SSL_CERT_FILE.",
}


def _advice(place: str, error: MeshAPIError) -> str:
    if place in _WHAT_TO_DO:
        return _WHAT_TO_DO[place]
    if isinstance(error, Unauthorized):
        return "The gateway does not know this key: copy it again, or make a new one."
    if isinstance(error, InvalidResponse):
        return "What answers there is no gateway: check MESHAPI_BASE_URL."
    if isinstance(error, ConnectionFailed):
        return "Ask again; if the checks above are ok and it stays, ask who runs the gateway."
    if isinstance(error, APIStatusError) and not isinstance(error, SpendLimitExceeded):
        return advice_on(error) or "The way there is in order; the gateway refused this request."
    return advice_on(error)
