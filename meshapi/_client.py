"""The clients: settings in, resources mounted, and one pool of connections to close."""

from __future__ import annotations

import copy
import ssl
from collections.abc import Mapping
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar, cast

import httpx
from typing_extensions import Unpack

from meshapi._core.log import listen_to_environment
from meshapi._core.retry import RetryPolicy
from meshapi._core.settings import ClientOptions, Settings, Timeout
from meshapi._core.telling import check_plain
from meshapi._core.token import AsyncTokenSource, Token, TokenSource
from meshapi.errors import ConfigurationError
from meshapi.resources.chat.chat import AsyncChat, Chat

if TYPE_CHECKING:
    from meshapi._core.connections.routes import NetworkOptions
    from meshapi._core.hooks import Hooks
    from meshapi._core.rate_limit import RateLimit
    from meshapi._core.totals import ClientTotals
    from meshapi._core.transport import AsyncTransport, Transport
    from meshapi.resources.models import AsyncModels, Models


class MeshAPI:
    """A client for the Mesh API gateway.

    Make one and share it: threads may use it together, and it keeps its connections. A forked
    process makes connections of its own, unless `http_client` lends them.

    Args:
        base_url: where the gateway is, else `MESHAPI_BASE_URL`, else https://api.meshapi.ai. It may
            carry a path, and may end in `/` or `/v1`.
        token: the key (`rsk_...`), or a function that is asked for it before every attempt; else
            `MESHAPI_TOKEN`, else `MESHAPI_API_KEY`.
        timeout: seconds for a whole call, above 0, or a `Timeout`; 310 unless given.
        max_retries: how often a failed request may be retried: 0 or more; 2 unless given.
        retry: the whole `RetryPolicy`, instead of `max_retries`.
        headers: sent with every call; those that the client writes itself, such as
            `authorization`, are refused.
        api_version: the contract to pin, as `YYYY-MM` (`X-Mesh-Version`): 2026-08 and 2026-09 are
            known (Mesh's docs); unset, the gateway serves its oldest.
        proxy: a proxy's URL, in place of those in `HTTPS_PROXY`, `HTTP_PROXY` and `ALL_PROXY`.
        ssl_context: whose certificates are trusted, and your own for mutual TLS; unless given,
            those of `SSL_CERT_FILE` or `SSL_CERT_DIR` are trusted, else certifi's.
        http_client: an `httpx.Client` of your own to call through, instead of `proxy`,
            `ssl_context` and `max_connections`; it is never closed here.
        max_connections: how many connections there may be at once: 1 or more; 1000 unless given.
        max_response_bytes: the largest answer that is read, in bytes, inflated: 1 or more; 64 MiB
            unless given.
        max_event_bytes: the largest event of a stream that is read, in bytes: 1 or more; 32 MiB
            unless given.
        hooks: functions that are told of every attempt.
        rate_limit: a limit of the client's own on requests per minute and day.

    Raises:
        ConfigurationError: there is no token, or an argument cannot work.
    """

    chat: Chat
    """Ask a model (`client.chat.completions`), or several (`client.chat.compare`)."""

    def __init__(
        self,
        *,
        base_url: str | None = None,
        token: TokenSource | None = None,
        timeout: float | Timeout | None = None,
        max_retries: int | None = None,
        retry: RetryPolicy | None = None,
        headers: Mapping[str, str] | None = None,
        api_version: str | None = None,
        proxy: str | None = None,
        ssl_context: ssl.SSLContext | None = None,
        http_client: httpx.Client | None = None,
        max_connections: int | None = None,
        max_response_bytes: int | None = None,
        max_event_bytes: int | None = None,
        hooks: Hooks | None = None,
        rate_limit: RateLimit | None = None,
    ) -> None:
        secret, token = _masked(token), None
        listen_to_environment()
        options = _given(
            base_url=base_url,
            token=secret,
            timeout=timeout,
            max_retries=max_retries,
            retry=retry,
            headers=headers,
            api_version=api_version,
            max_response_bytes=max_response_bytes,
            max_event_bytes=max_event_bytes,
            hooks=hooks,
            rate_limit=rate_limit,
        )
        settings = Settings.load(options)
        network = _network(proxy, ssl_context, max_connections)
        lent = _checked(http_client, httpx.Client, network)
        from meshapi._core.connections.pool import Pool  # Only a client needs httpcore.
        from meshapi._core.transport import Transport

        pool = Pool(lent, network, settings.base_url)
        self._mount(Transport(pool, settings))

    def _mount(self, transport: Transport) -> None:
        check_plain(transport.settings.hooks)
        self._transport = transport
        self.chat = Chat(transport)
        vars(self).pop("models", None)  # A copy must not keep the one it was copied with.

    @cached_property
    def models(self) -> Models:
        """Which models there are, and what they cost: `client.models.list()`."""
        from meshapi.resources.models import Models  # Not all programs list them.

        return Models(self._transport)

    @property
    def totals(self) -> ClientTotals:
        """Calls, tokens and US dollars so far, of this client and all that `with_options` made."""
        return self._transport.ledger.totals()

    def with_options(self, **options: Unpack[ClientOptions]) -> Self:
        """A client with some settings changed, over the same connections and retry budget.

        Closing it closes nothing: the client it was made from owns the connections.

        Raises:
            ConfigurationError: an option cannot work.
            TypeError: there is no option of that name.
        """
        options = _without_secret(options)
        client = copy.copy(self)
        client._mount(self._transport.with_options(options))
        return client

    def close(self) -> None:
        """Close the connections; calls made afterwards raise `ConfigurationError`.

        On a client that `with_options` made, this does nothing.
        """
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return _repr(self)


class AsyncMeshAPI:
    """An asyncio client for the Mesh API gateway.

    Make one and share it: tasks may use it together, and it keeps its connections. A forked
    process makes connections of its own, unless `http_client` lends them.

    Args:
        base_url: where the gateway is, else `MESHAPI_BASE_URL`, else https://api.meshapi.ai. It may
            carry a path, and may end in `/` or `/v1`.
        token: the key (`rsk_...`), or a function, async or not, that is asked for it before every
            attempt; else `MESHAPI_TOKEN`, else `MESHAPI_API_KEY`.
        timeout: seconds for a whole call, above 0, or a `Timeout`; 310 unless given.
        max_retries: how often a failed request may be retried: 0 or more; 2 unless given.
        retry: the whole `RetryPolicy`, instead of `max_retries`.
        headers: sent with every call; those that the client writes itself, such as
            `authorization`, are refused.
        api_version: the contract to pin, as `YYYY-MM` (`X-Mesh-Version`): 2026-08 and 2026-09 are
            known (Mesh's docs); unset, the gateway serves its oldest.
        proxy: a proxy's URL, in place of those in `HTTPS_PROXY`, `HTTP_PROXY` and `ALL_PROXY`.
        ssl_context: whose certificates are trusted, and your own for mutual TLS; unless given,
            those of `SSL_CERT_FILE` or `SSL_CERT_DIR` are trusted, else certifi's.
        http_client: an `httpx.AsyncClient` of your own to call through, instead of `proxy`,
            `ssl_context` and `max_connections`; it is never closed here.
        max_connections: how many connections there may be at once: 1 or more; 1000 unless given.
        max_response_bytes: the largest answer that is read, in bytes, inflated: 1 or more; 64 MiB
            unless given.
        max_event_bytes: the largest event of a stream that is read, in bytes: 1 or more; 32 MiB
            unless given.
        hooks: functions that are told of every attempt.
        rate_limit: a limit of the client's own on requests per minute and day.

    Raises:
        ConfigurationError: there is no token, or an argument cannot work.
    """

    chat: AsyncChat
    """Ask a model (`client.chat.completions`), or several (`client.chat.compare`)."""

    def __init__(
        self,
        *,
        base_url: str | None = None,
        token: AsyncTokenSource | None = None,
        timeout: float | Timeout | None = None,
        max_retries: int | None = None,
        retry: RetryPolicy | None = None,
        headers: Mapping[str, str] | None = None,
        api_version: str | None = None,
        proxy: str | None = None,
        ssl_context: ssl.SSLContext | None = None,
        http_client: httpx.AsyncClient | None = None,
        max_connections: int | None = None,
        max_response_bytes: int | None = None,
        max_event_bytes: int | None = None,
        hooks: Hooks | None = None,
        rate_limit: RateLimit | None = None,
    ) -> None:
        secret, token = _masked(token), None
        listen_to_environment()
        options = _given(
            base_url=base_url,
            token=secret,
            timeout=timeout,
            max_retries=max_retries,
            retry=retry,
            headers=headers,
            api_version=api_version,
            max_response_bytes=max_response_bytes,
            max_event_bytes=max_event_bytes,
            hooks=hooks,
            rate_limit=rate_limit,
        )
        settings = Settings.load(options)
        network = _network(proxy, ssl_context, max_connections)
        lent = _checked(http_client, httpx.AsyncClient, network)
        from meshapi._core.connections.async_pool import AsyncPool  # Only this one needs asyncio.
        from meshapi._core.transport import AsyncTransport

        pool = AsyncPool(lent, network, settings.base_url)
        self._mount(AsyncTransport(pool, settings))

    def _mount(self, transport: AsyncTransport) -> None:
        self._transport = transport
        self.chat = AsyncChat(transport)
        vars(self).pop("models", None)  # A copy must not keep the one it was copied with.

    @cached_property
    def models(self) -> AsyncModels:
        """Which models there are, and what they cost: `client.models.list()`."""
        from meshapi.resources.models import AsyncModels  # Not all programs list them.

        return AsyncModels(self._transport)

    @property
    def totals(self) -> ClientTotals:
        """Calls, tokens and US dollars so far, of this client and all that `with_options` made."""
        return self._transport.ledger.totals()

    def with_options(self, **options: Unpack[ClientOptions]) -> Self:
        """A client with some settings changed, over the same connections and retry budget.

        Closing it closes nothing: the client it was made from owns the connections.

        Raises:
            ConfigurationError: an option cannot work.
            TypeError: there is no option of that name.
        """
        options = _without_secret(options)
        client = copy.copy(self)
        client._mount(self._transport.with_options(options))
        return client

    async def close(self) -> None:
        """Close the connections; calls made afterwards raise `ConfigurationError`.

        On a client that `with_options` made, this does nothing.
        """
        await self._transport.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return _repr(self)


HttpT = TypeVar("HttpT", httpx.Client, httpx.AsyncClient)


def _repr(client: object) -> str:
    # A client whose settings were refused has no transport, and still is shown in a traceback.
    transport: Transport | AsyncTransport | None = getattr(client, "_transport", None)
    base_url = transport.settings.base_url if transport else None
    return f"{type(client).__name__}(base_url={base_url!r})"


def _masked(token: AsyncTokenSource | None) -> Token | None:
    # Whoever raises from here on holds the mask, so that no traceback with locals shows the token.
    return None if token is None else Token(token)


def _without_secret(options: ClientOptions) -> ClientOptions:
    return {**options, "token": Token(options["token"])} if "token" in options else options


def _given(**options: object) -> ClientOptions:
    return cast("ClientOptions", {k: v for k, v in options.items() if v is not None})


def _network(
    proxy: str | None, ssl_context: ssl.SSLContext | None, max_connections: int | None
) -> NetworkOptions:
    return {"proxy": proxy, "ssl_context": ssl_context, "max_connections": max_connections}


def _checked(http: HttpT | None, kind: type[object], network: NetworkOptions) -> HttpT | None:
    if http is None:
        return None
    if not isinstance(http, kind):
        raise ConfigurationError(f"http_client must be an httpx.{kind.__name__}")
    if taken := [name for name, value in network.items() if value is not None]:
        raise ConfigurationError(f"http_client brings its own {', '.join(taken)}: set it there")
    return http
