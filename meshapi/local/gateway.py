"""The gateway as tests and the command line use it: made, filled, started, asked what came."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from typing_extensions import Unpack

from meshapi import AsyncMeshAPI, MeshAPI
from meshapi._core.settings import ClientOptions, check_names
from meshapi.local.answers import SPEAKERS, Answers
from meshapi.local.clock import Clock
from meshapi.local.faults import FaultName, FaultOptions, fault_of
from meshapi.local.in_process import InProcessTransport
from meshapi.local.requests import RecordedRequest
from meshapi.local.rules import Dollars, Key, Limits, Price, Rules, Usage, dollars, new_template
from meshapi.local.script import ReplyOptions, Turn, canned_of
from meshapi.local.service import Service

if TYPE_CHECKING:
    from meshapi.local.server import Server
    from meshapi.local.upstream import Upstream


class LocalGateway:
    """A server that speaks the Mesh API wire, and its rules; nothing leaves this machine.

    ```python
    with LocalGateway() as gateway:
        client = MeshAPI(base_url=gateway.base_url, token=gateway.token)
    ```

    Without `with` there is no server, and `gateway.client()` asks it in this process.

    Args:
        token: the key that is there from the start.
        port: where to listen, on 127.0.0.1; 0 takes a free one.
        tokens_per_second: how fast streams are written, above 0; None is as fast as they can be.
        answers: who answers what no script does: `babble` talks nonsense, `echo` says what the
            user said last, `script` refuses with 502.
        upstream: a server that answers instead, at any URL that speaks OpenAI's chat completions;
            any model is routed to it.
        upstream_token: the key for that server.
        log: called with a line for every request.

    Raises:
        ConfigurationError: the upstream's URL or key cannot work.
        ValueError: `answers` is none of the three, or `tokens_per_second` is not above 0.
    """

    def __init__(
        self,
        *,
        token: str = "rsk_local",
        port: int = 0,
        tokens_per_second: float | None = None,
        answers: Answers = "babble",
        upstream: str | None = None,
        upstream_token: str | None = None,
        log: Callable[[str], None] | None = None,
    ) -> None:
        if answers not in SPEAKERS:
            raise ValueError(f"answers must be one of {', '.join(SPEAKERS)}")
        if tokens_per_second is not None and not tokens_per_second > 0:
            raise ValueError("tokens_per_second must be above 0")
        self.token: str = token
        """The key that is there from the start, for `MeshAPI(token=...)`."""
        self.clock: Clock = Clock()
        """The gateway's time, which can be set and moved."""
        self._upstream = _upstream(upstream, upstream_token) if upstream else None
        self._service = Service(
            Rules(self.clock, any_model=upstream is not None),
            SPEAKERS[answers],
            self._upstream.forward if self._upstream else None,
            pause=1 / tokens_per_second if tokens_per_second else 0.0,
            log=log,
        )
        self.transport: InProcessTransport = InProcessTransport(self._service)
        """Answers in this process: for `httpx.Client(transport=...)`, or its async twin."""
        self._port = port
        self._server: Server | None = None
        self.reset()

    def reset(self) -> None:
        """Forget keys, limits, models, templates, scripts and requests, and tell the real time."""
        self.clock.reset()
        rules = Rules(self.clock, any_model=self._service.rules.any_model)
        rules.keys[self.token] = Key()
        self._service.rules = rules
        self._service.script.clear()
        self._service.requests.clear()

    @property
    def base_url(self) -> str:
        """Where the gateway listens: `http://127.0.0.1:PORT`.

        Raises:
            RuntimeError: it is not running.
        """
        if self._server is None:
            raise RuntimeError("The gateway is not running: use `with LocalGateway() as gateway:`")
        return self._server.base_url

    @property
    def requests(self) -> Sequence[RecordedRequest]:
        """The last 1,000 requests that came, refused ones included, the oldest first."""
        return tuple(self._service.requests)

    @property
    def usage(self) -> Mapping[str | None, Usage]:
        """What was used by each `session_id`; None stands for requests without one."""
        return dict(self._service.rules.usage)

    @property
    def unused(self) -> int:
        """How many scripted answers and faults wait for a request."""
        return len(self._service.script)

    def reply(
        self,
        content: str | Mapping[str, object] | Sequence[object] | None = None,
        *,
        times: int = 1,
        when: str | None = None,
        **options: Unpack[ReplyOptions],
    ) -> None:
        """Say what the next chat request that has no answer yet is answered with.

        Args:
            content: the text; an object or a list is sent as its JSON.
            times: how many requests get this answer, 1 or more.
            when: words in the conversation that it is for; for any unless given.
            options: what is said besides text.

        Raises:
            ValueError: an argument is of a wrong type.
        """
        self._service.script.add(Turn(canned_of(content, options), when=when), times)

    def fail(
        self,
        kind: int | FaultName,
        *,
        reply: str | None = None,
        times: int = 1,
        when: str | None = None,
        **options: Unpack[FaultOptions],
    ) -> None:
        """Say what goes wrong with the next chat request that has no answer yet.

        It goes wrong once all checks have passed.

        Args:
            kind: a status from 300 to 599, or what goes wrong.
            reply: the answer that goes wrong; the model's own unless given.
            times: with how many requests it goes wrong, 1 or more.
            when: words in the conversation that it is for; for any unless given.
            options: how it goes wrong.

        Raises:
            ValueError: an argument is out of its bounds.
        """
        canned = None if reply is None else canned_of(reply, {})
        self._service.script.add(Turn(canned, fault_of(kind, options), when), times)

    def load_script(self, text: str) -> None:
        """Add answers and faults that are written as JSON, one object a line.

        Raises:
            ValueError: a line is not what it should be; the message says which, and why. Then none
                is added.
        """
        self._service.script.load(text)

    def limit(self, *, token: str | None = None, **limits: Unpack[Limits]) -> None:
        """Limit a key anew: what is not given is not limited, and counting begins again.

        Args:
            token: whose limits; those of the key that is there from the start unless given.
            limits: requests per minute and day, and US dollars.

        Raises:
            KeyError: there is no such key.
            ValueError: a limit is no number of 0 or more.
        """
        self._service.rules.keys[token or self.token].limit(limits)

    def add_key(
        self,
        token: str | None = None,
        *,
        active: bool = True,
        default_model: str = "openai/gpt-4o",
        **limits: Unpack[Limits],
    ) -> str:
        """Add a key, and return its token.

        Args:
            token: the token to use; a new random one unless given.
            active: an inactive key is answered with 403.
            default_model: who answers where a request names no model.
            limits: requests per minute and day, and US dollars.

        Raises:
            ValueError: a limit is no number of 0 or more.
        """
        token = token or f"rsk_{secrets.token_hex(13).upper()}"
        key = Key(active, default_model)
        key.limit(limits)
        self._service.rules.keys[token] = key
        return token

    def add_model(self, name: str, *, prompt: Dollars = 0, completion: Dollars = 0) -> None:
        """Route one more model, at a price in US dollars per million tokens.

        Raises:
            ValueError: a price is no number of 0 or more.
        """
        self._service.rules.models[name] = Price(dollars(prompt), dollars(completion))

    def add_template(self, name: str, text: str, *, model: str | None = None) -> str:
        """Store a prompt template, and return its id; a request may use either.

        Args:
            name: its name; a template of the same name is replaced.
            text: the system prompt; `{{placeholders}}` in it are filled from a request's variables.
            model: who answers where a request names no model.
        """
        template = new_template(name, text, model)
        kept = [each for each in self._service.rules.templates if each.name != name]
        self._service.rules.templates = [*kept, template]
        return template.id

    def skip_waits(self) -> AbstractContextManager[None]:
        """While this is open, no client of this process waits before a retry: the clock moves.

        Clients that wait at the same time wait together. Deadlines move with the clock, so that
        what would come too late still does. All clocks that are open move.
        """
        return self.clock.skip_waits()

    def client(self, **options: Unpack[ClientOptions]) -> MeshAPI:
        """A client that asks this gateway in this process, without a socket.

        It need not be closed.
        """
        http = self.transport.http_client()
        return MeshAPI(http_client=http, **self._aimed(options))

    def async_client(self, **options: Unpack[ClientOptions]) -> AsyncMeshAPI:
        """An async client that asks this gateway in this process, without a socket.

        It need not be closed.
        """
        http = self.transport.async_http_client()
        return AsyncMeshAPI(http_client=http, **self._aimed(options))

    def _aimed(self, options: ClientOptions) -> Mapping[str, Any]:
        check_names(options, ClientOptions)
        return {"base_url": _NOWHERE, "token": self.token, **options}

    def start(self) -> Self:
        """Take the port, and serve from a thread of its own.

        Raises:
            OSError: the port is taken.
            ModuleNotFoundError: the extra `local` is not installed.
        """
        if self._server is None:
            self._server = _server(self._service, self._port)
        return self

    def stop(self) -> None:
        """Stop serving, and give the port back; what is not answered within a second is cut."""
        if self._server is not None:
            self._server.stop()
            self._server = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()


_NOWHERE = "http://meshapi.local"


def _upstream(url: str, token: str | None) -> Upstream:
    from meshapi.local.upstream import Upstream  # Its models are the client's.

    return Upstream(url, token)


def _server(service: Service, port: int) -> Server:
    try:
        from meshapi.local.server import Server  # Only a port needs a server.
    except ModuleNotFoundError as missing:
        if missing.name not in {"starlette", "uvicorn"}:
            raise
        message = "The local gateway's server needs its extra: pip install 'meshapi[local]'"
        raise ModuleNotFoundError(message, name=missing.name) from None
    return Server(service, port)
