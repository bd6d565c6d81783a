"""What a client is told once: where to call, with which token, and within which limits."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypedDict, cast
from urllib.parse import urlsplit

from meshapi._core.checks import is_mapping, is_seconds, is_whole
from meshapi._core.retry import RetryPolicy
from meshapi._core.token import AsyncTokenSource, Token
from meshapi.errors import ConfigurationError

if TYPE_CHECKING:
    from meshapi._core.hooks import Hooks
    from meshapi._core.rate_limit import RateLimit

DEFAULT_BASE_URL = "https://api.meshapi.ai"
TOKEN_VARIABLES = ("MESHAPI_TOKEN", "MESHAPI_API_KEY")


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeout:
    """How long a call may take, in seconds: finite numbers above 0.

    The defaults leave room for the gateway, which itself works up to 300 seconds.

    Raises:
        ConfigurationError: when a limit is not a number of seconds above 0.
    """

    total: float = 310.0
    """The whole call: connecting, all attempts, all waits, the answer; of a stream, until its first
    event."""

    connect: float = 10.0
    """Making one connection: DNS, TCP, proxy and TLS."""

    first_event: float = 310.0
    """From the call to the first event of a stream, all attempts included, within `total`."""

    idle: float = 120.0
    """From one event of a stream to the next; comments and single bytes do not count."""

    def __post_init__(self) -> None:
        """Refuse limits that mean nothing."""
        for each in dataclasses.fields(self):
            if not is_seconds(limit := getattr(self, each.name)) or limit == 0:
                raise ConfigurationError(
                    f"The limit {each.name} must be a finite number of seconds above 0"
                )


def _changed(timeout: Timeout, limit: float | Timeout) -> Timeout:
    """Read a float as `total`, `first_event` and `idle` together."""
    if isinstance(limit, Timeout):
        return limit
    return dataclasses.replace(timeout, total=limit, first_event=limit, idle=limit)


class ClientOptions(TypedDict, total=False):
    """What `with_options` can change: everything but the connection pool.

    The defaults are those of `MeshAPI`.
    """

    base_url: str
    """Where the gateway is; may carry a path and may end in `/` or `/v1`."""

    token: AsyncTokenSource | Token
    """The token, or a function that is asked for one before every attempt."""

    timeout: float | Timeout
    """Seconds for a whole call, above 0, or a `Timeout`."""

    max_retries: int
    """How often a failed request may be retried: 0 or more; 0 means never."""

    retry: RetryPolicy
    """The whole policy, instead of `max_retries`."""

    headers: Mapping[str, str]
    """Headers to add to every call: printable ASCII. Those that the client writes itself cannot be
    set: `authorization`, `content-length`, `host`, `idempotency-key`, `transfer-encoding`,
    `x-mesh-version`."""

    api_version: str
    """The gateway's contract to pin, as `YYYY-MM`: sent as `X-Mesh-Version`."""

    max_response_bytes: int
    """The largest answer that is read, inflated, in bytes: 1 or more."""

    max_event_bytes: int
    """The largest event of a stream that is read, in bytes: 1 or more."""

    hooks: Hooks | None
    """Functions that are told of every attempt."""

    rate_limit: RateLimit | None
    """A limit of the client's own on requests per minute and day."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that a client knows before its first call."""

    base_url: str
    token: Token
    timeout: Timeout = field(default_factory=Timeout)
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    max_response_bytes: int = 64 * 1024 * 1024
    max_event_bytes: int = 32 * 1024 * 1024
    hooks: Hooks | None = None
    rate_limit: RateLimit | None = None

    @classmethod
    def load(cls, options: ClientOptions) -> Settings:
        """Take the options, and from the environment what they leave open.

        Raises:
            ConfigurationError: there is no token, or an option cannot work.
        """
        name = token_variable()
        if "token" not in options and name is None:
            raise ConfigurationError(NO_TOKEN)
        given = "base_url" in options
        url = None if given else os.environ.get("MESHAPI_BASE_URL")
        settings = cls(
            base_url=_checked_url(url, "MESHAPI_BASE_URL") if url else DEFAULT_BASE_URL,
            token=Token(os.environ.get(name), name) if name else Token(None),
        )
        settings = settings.replaced(options)
        settings.token.check()
        return settings

    def replaced(self, options: ClientOptions) -> Settings:
        """The same with some options changed; headers are added to those there are.

        Raises:
            ConfigurationError: an option cannot work.
        """
        check_names(options, ClientOptions)
        if "retry" in options and "max_retries" in options:
            raise ConfigurationError("Give max_retries or retry, not both")
        given: Mapping[str, Any] = options
        changes: dict[str, Any] = {
            name: check(given[name]) for name, check in _CHECKS.items() if name in given
        }
        if "timeout" in options:
            changes["timeout"] = _changed(self.timeout, options["timeout"])
        if "max_retries" in options:
            changes["retry"] = dataclasses.replace(self.retry, max_retries=options["max_retries"])
        headers = {**self.headers, **_checked_headers(options.get("headers", {}))}
        if "api_version" in options:
            headers["x-mesh-version"] = _checked_version(options["api_version"])
        return dataclasses.replace(self, headers=headers, **changes)


NO_TOKEN = (
    "No token: set MESHAPI_TOKEN, pass token=, or run `meshapi local`, which needs no account"
)


def token_variable() -> str | None:
    """The variable of the environment that holds the token."""
    return next((each for each in TOKEN_VARIABLES if os.environ.get(each)), None)


def check_names(options: Mapping[str, object], known: type) -> None:
    """Refuse an option that does not exist, as Python does for a keyword argument.

    Raises:
        TypeError: a name is none of the options.
    """
    for name in options.keys() - known.__annotations__.keys():
        there_are = ", ".join(known.__annotations__)
        raise TypeError(f"got an unexpected option {name!r}: there are {there_are}")


def _checked_url(url: object, name: str = "base_url") -> str:
    """Check a base URL, and cut off the `/v1` and the `/` that it may end in."""
    if problem := _url_problem(url):
        raise ConfigurationError(f"{name} {problem}")
    parts = urlsplit(str(url))
    path = parts.path.rstrip("/").removesuffix("/v1").rstrip("/")
    return f"{parts.scheme}://{parts.netloc}{path}"


def _url_problem(url: object) -> str | None:
    if not isinstance(url, str) or not url:
        return "must be a URL such as https://api.meshapi.ai"
    if not url.isprintable() or " " in url:
        return "holds a space or a character that no URL may carry"
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        return f"is no URL: {error}"
    if parts.scheme not in {"http", "https"} or not host:
        return "must begin with https:// or http:// and name a host"
    if "@" in parts.netloc:
        return "must not hold a user or password: use token="
    if parts.query or parts.fragment:
        return "must end before the ? or #"
    if parts.path.rstrip("/").endswith("/chat/completions"):
        return "must end before /chat/completions, which is added to it"
    return None


# What the client writes itself; `authorization` would put the token where a repr shows it.
_OWN_HEADERS = {
    "authorization": "use token=",
    "content-length": "it follows from the body",
    "host": "it follows from base_url",
    "transfer-encoding": "it follows from the body",
    "idempotency-key": "use the option idempotency_key",
    "x-mesh-version": "use api_version=",
}


def _checked_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Check headers before they are sent, and put their names in lower case."""
    if not is_mapping(headers):
        raise ConfigurationError("headers must be a mapping of names to values")
    for name, value in headers.items():
        if problem := _header_problem(name, value):
            raise ConfigurationError(problem)
    return {name.lower(): value for name, value in headers.items()}


def _header_problem(name: object, value: object) -> str | None:
    if not isinstance(name, str) or not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name):
        return "A header's name may hold letters, digits and - only"
    if reason := _OWN_HEADERS.get(name.lower()):
        return f"The header {name} is not yours to set: {reason}"
    if not isinstance(value, str) or not re.fullmatch(r"[\t -~]*", value):
        return f"The header {name} must be printable ASCII"
    return None


def _checked_version(version: object) -> str:
    if not isinstance(version, str) or not re.fullmatch(r"[0-9]{4}-[0-9]{2}", version):
        raise ConfigurationError("api_version must look like 2026-09")
    return version


def _checked_policy(policy: object) -> RetryPolicy:
    if not isinstance(policy, RetryPolicy):
        raise ConfigurationError("retry must be a RetryPolicy")
    return policy


def _checked_size(size: object) -> int:
    if not is_whole(size, least=1):
        raise ConfigurationError("A limit on bytes must be a whole number above 0")
    return cast("int", size)


def _checked_hooks(hooks: object) -> Hooks | None:
    from meshapi._core.hooks import Hooks  # Few have any.

    if hooks is not None and not isinstance(hooks, Hooks):
        raise ConfigurationError("hooks must be Hooks(on_request=..., on_response=..., ...)")
    return hooks


def _checked_limit(limit: object) -> RateLimit | None:
    from meshapi._core.rate_limit import RateLimit  # Few have one.

    if limit is not None and not isinstance(limit, RateLimit):
        raise ConfigurationError("rate_limit must be RateLimit(rpm=..., rpd=...)")
    return limit


_CHECKS: Mapping[str, Callable[[Any], object]] = {
    "base_url": _checked_url,
    "token": lambda token: (token if isinstance(token, Token) else Token(token)).check(),
    "retry": _checked_policy,
    "max_response_bytes": _checked_size,
    "max_event_bytes": _checked_size,
    "hooks": _checked_hooks,
    "rate_limit": _checked_limit,
}
