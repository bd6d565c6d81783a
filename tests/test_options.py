"""Options: the same on every endpoint method there is, and on every client made of another."""

from __future__ import annotations

import dataclasses
import inspect
import json
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest
from pydantic import BaseModel

import meshapi
from meshapi import (
    AsyncMeshAPI,
    ConfigurationError,
    DeadlineExceeded,
    Hooks,
    InvalidRequest,
    InvalidResponse,
    MeshAPI,
    MeshAPIError,
    RateLimit,
    RateLimitExceeded,
    RetryPolicy,
    Timeout,
)
from meshapi._core.call import CallOptions
from meshapi._core.resource import AsyncResource, Resource
from meshapi._core.settings import ClientOptions
from meshapi._core.transport import AsyncTransport, Transport
from tests.colours import Client, Sync
from tests.wire_server import Received, Step, WireServer, response

PAGE = Path(__file__).parents[1] / "docs" / "options.md"


def endpoints(resource: object, path: str = "") -> Iterator[tuple[str, Callable[..., Any]]]:
    """Every method of every resource below a client."""
    for name in dir(resource):
        if name.startswith("_"):
            continue
        member = getattr(resource, name)
        if isinstance(member, (Resource, AsyncResource)):
            yield from endpoints(member, f"{path}{name}.")
        elif path and inspect.ismethod(member):
            yield path + name, member


PLAIN = dict(endpoints(MeshAPI(token="rsk_test", base_url="http://127.0.0.1:9")))
TWINS = dict(endpoints(AsyncMeshAPI(token="rsk_test", base_url="http://127.0.0.1:9")))
METHODS = sorted(PLAIN)


class Anything(BaseModel):
    """What any object can be read as."""


def stay() -> str:
    """Do nothing."""
    return "stayed"


FIELDS: Mapping[str, object] = {
    "messages": [{"role": "user", "content": "Hi"}],
    "models": ["a/b"],
    "temperature": 1,
}
OTHERS: Mapping[str, object] = {"output": Anything, "tools": [stay]}


def arguments_of(method: Callable[..., Any]) -> dict[str, object]:
    """What a method cannot be called without, by what its signature names."""
    given: dict[str, object] = {}
    for parameter in inspect.signature(method).parameters.values():
        if parameter.name == "params":
            given["params"] = params_of(str(parameter.annotation))
        elif parameter.default is parameter.empty and parameter.kind is not parameter.VAR_KEYWORD:
            given[parameter.name] = OTHERS[parameter.name]
    return given


def params_of(annotation: str) -> object:
    model = getattr(meshapi, re.findall(r"\w+Params", annotation)[0])
    fields = {name: FIELDS[name] for name in model.model_fields if name in FIELDS}
    return model(**fields)


def call(colour: Sync, client: Client, name: str, **options: Any) -> None:
    """Call a method, and read its answer to the end."""
    method = dict(endpoints(client))[name]

    async def awaited() -> None:
        answer = method(**arguments_of(method), **options)
        if inspect.isawaitable(answer):
            answer = await answer
        if hasattr(answer, "__aiter__"):
            async for _ in answer:
                pass

    if isinstance(client, AsyncMeshAPI):
        colour.settle(cast("Awaitable[None] | None", awaited()))
        return
    answer = method(**arguments_of(method), **options)
    if hasattr(answer, "__next__"):
        for _ in answer:
            pass


def answer_to(request: Received) -> list[Step]:
    """An answer to any question; below `/slow` it takes long, below `/busy` there is none."""
    if request.path.startswith("/busy"):
        refusal = '{"error": {"code": "rate_limit_exceeded", "message": "Later"}}'
        return [response(refusal, status=429, headers={"retry-after": "0"})]
    message = {"role": "assistant", "content": "{}"}
    kind = "delta" if b'"stream":true' in request.body else "message"
    choices = [{"index": 0, kind: message, "finish_reason": "stop"}]
    document = json.dumps({"choices": choices, "results": [], "data": []})
    wait = 10.0 if request.path.startswith("/slow") else 0.0
    headers = {"connection": "keep-alive"}
    if kind == "message":
        return [wait, response(document, headers=headers)]
    stream = f"data: {document}\n\ndata: [DONE]\n\n"
    return [wait, response(stream, content_type="text/event-stream", headers=headers)]


def transport_of(method: Any) -> object:
    """What the resource of a method sends with."""
    return method.__self__._transport


@pytest.mark.parametrize("kind", [MeshAPI, AsyncMeshAPI])
def test_every_resource_of_a_copy_has_the_options_of_the_copy(
    kind: type[MeshAPI] | type[AsyncMeshAPI],
) -> None:
    client = kind(token="rsk_test", base_url="http://127.0.0.1:9")
    used = dict(endpoints(client))
    copy = client.with_options(max_retries=0)

    for name, method in endpoints(copy):
        assert transport_of(method) is copy._transport is not transport_of(used[name]), name


@pytest.fixture(scope="module")
def _module_server() -> Iterator[WireServer]:
    with WireServer(answer_to) as server:
        yield server


@pytest.fixture
def server(_module_server: WireServer, monkeypatch: pytest.MonkeyPatch) -> WireServer:
    """A server that answers anything; nobody waits before another attempt."""

    async def at_once(_: float) -> None:
        pass

    waits: list[float] = []
    monkeypatch.setattr(Transport, "sleep", waits.append)
    monkeypatch.setattr(AsyncTransport, "sleep", staticmethod(at_once))
    _module_server.requests.clear()
    return _module_server


def client_of(colour: Sync, server: WireServer, where: str = "", **options: object) -> Client:
    return colour.client(base_url=server.url + where, token="rsk_test", **options)


def is_get(request: Received) -> bool:
    return request.raw.startswith(b"GET ")


def test_the_methods_are_found_and_are_the_same_in_both_colours() -> None:
    assert PLAIN.keys() == TWINS.keys()
    assert {"chat.completions.create", "chat.compare.stream", "models.list"} <= PLAIN.keys()


@pytest.mark.parametrize("methods", [PLAIN, TWINS], ids=["sync", "async"])
@pytest.mark.parametrize("name", METHODS)
def test_every_method_takes_the_options_of_a_call_and_no_others(
    name: str, methods: dict[str, Callable[..., Any]]
) -> None:
    *_, last = inspect.signature(methods[name]).parameters.values()

    # As text, or as it is where pydantic reads the module.
    assert last.kind is last.VAR_KEYWORD
    assert re.sub(r"[\w.]+\.|'", "", str(last)) == "**options: Unpack[CallOptions]"


def test_create_documents_the_errors_of_every_call() -> None:
    _, _, raises = (PLAIN["chat.completions.create"].__doc__ or "").partition("Raises:\n")

    assert re.findall(r"^ {12}(\w+):", raises, re.MULTILINE) == [
        "APIStatusError",
        "ConnectionFailed",
        "InvalidResponse",
        "InvalidRequest",
        "ConfigurationError",
    ]


@pytest.mark.parametrize("name", sorted({*METHODS} - {"chat.completions.create"}))
def test_every_other_method_says_where_its_errors_are_documented(name: str) -> None:
    words = " ".join((PLAIN[name].__doc__ or "").split())

    (elsewhere,) = re.findall(r"as in `([\w.]+)`|raises what `(run)` would", words)

    method = "".join(elsewhere).removeprefix("client.")
    home, _, _ = name.rpartition(".")
    assert method in METHODS or f"{home}.{method}" in METHODS


@pytest.mark.parametrize("name", METHODS)
def test_the_deadline_of_a_call_holds(name: str, colour: Sync, server: WireServer) -> None:
    with pytest.raises(DeadlineExceeded, match=r"within 0\.05 s"):
        call(colour, client_of(colour, server, "/slow"), name, timeout=0.05)


@pytest.mark.parametrize("retries", [0, 3])
@pytest.mark.parametrize("name", METHODS)
def test_a_call_says_how_often_it_is_repeated(
    name: str, retries: int, colour: Sync, server: WireServer
) -> None:
    with pytest.raises(RateLimitExceeded):
        call(colour, client_of(colour, server, "/busy"), name, max_retries=retries)

    assert len(server.requests) == 1 + retries


@pytest.mark.parametrize("name", METHODS)
def test_the_headers_of_a_call_are_added_and_win(
    name: str, colour: Sync, server: WireServer
) -> None:
    client = client_of(colour, server, headers={"X-Team": "a", "X-Kept": "yes"})

    call(colour, client, name, headers={"x-team": "b"})

    (request,) = server.requests
    assert (request.headers["x-team"], request.headers["x-kept"]) == ("b", "yes")


@pytest.mark.parametrize("name", METHODS)
def test_what_only_a_post_has_is_sent_with_each_and_refused_by_a_get(
    name: str, colour: Sync, server: WireServer
) -> None:
    client = client_of(colour, server)
    call(colour, client, name)

    if is_get(server.requests.pop()):
        with pytest.raises(InvalidRequest, match=r"idempotency_key belongs to a POST"):
            call(colour, client, name, idempotency_key="mine")
        with pytest.raises(InvalidRequest, match=r"extra_body belongs to a POST"):
            call(colour, client, name, extra_body={"free": True})
        assert server.requests == []
    else:
        fields = {"temperature": 0.5, "brand_new": True}
        call(colour, client, name, idempotency_key="mine", extra_body=fields)
        (request,) = server.requests
        # A run asks several times, each with a number behind the key.
        assert re.fullmatch(r"mine(-\d+)?", request.headers["idempotency-key"])
        assert fields.items() <= request.json().items()


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"timeouts": 5}, TypeError),
        ({"base_url": "http://127.0.0.1:9"}, TypeError),
        ({"timeout": -1}, ConfigurationError),
        ({"timeout": None}, ConfigurationError),
        ({"timeout": "5"}, ConfigurationError),
        ({"max_retries": -1}, ConfigurationError),
        ({"max_retries": None}, ConfigurationError),
        ({"headers": None}, ConfigurationError),
        ({"headers": {"Authorization": "Bearer x"}}, ConfigurationError),
        ({"extra_body": ["a"]}, InvalidRequest),
        ({"idempotency_key": "a b"}, InvalidRequest),
        ({"idempotency_key": 5}, InvalidRequest),
    ],
    ids=str,
)
@pytest.mark.parametrize("name", METHODS)
def test_an_option_that_cannot_work_is_refused_before_anything_is_sent(
    name: str,
    options: dict[str, Any],
    error: type[Exception],
    colour: Sync,
    server: WireServer,
) -> None:
    with pytest.raises(error):
        call(colour, client_of(colour, server), name, **options)

    assert server.requests == []


@dataclass
class Probe:
    """An option, and what is seen of it on the wire or in the error of a call."""

    value: Any
    seen: Callable[[list[Received], MeshAPIError | None], bool]
    where: str = ""
    streams: bool = False
    calls: int = 1


def header(name: str, value: str) -> Callable[[list[Received], MeshAPIError | None], bool]:
    return lambda requests, _: requests[-1].headers.get(name) == value


OPTIONS = sorted(ClientOptions.__annotations__)


def probe_of(option: str) -> Probe:
    """How to see whether an option works."""
    told: list[object] = []
    probes = {
        "base_url": Probe("/elsewhere", lambda sent, _: sent[-1].path.startswith("/elsewhere/v1")),
        "token": Probe("rsk_other", header("authorization", "Bearer rsk_other")),
        "timeout": Probe(0.05, lambda _, error: isinstance(error, DeadlineExceeded), "/slow"),
        "max_retries": Probe(4, lambda sent, _: len(sent) == 5, "/busy"),
        "retry": Probe(RetryPolicy(max_retries=4), lambda sent, _: len(sent) == 5, "/busy"),
        "headers": Probe({"X-Mine": "1"}, header("x-mine", "1")),
        "api_version": Probe("2026-09", header("x-mesh-version", "2026-09")),
        "max_response_bytes": Probe(1, lambda _, error: isinstance(error, InvalidResponse)),
        "max_event_bytes": Probe(1, lambda _, error: error is not None, streams=True),
        "hooks": Probe(Hooks(on_request=told.append), lambda sent, _: len(told) == len(sent) == 1),
        "rate_limit": Probe(
            RateLimit(rpm=1),
            lambda sent, error: len(sent) == 1 and isinstance(error, RateLimitExceeded),
            calls=2,
        ),
    }
    assert probes.keys() == set(OPTIONS)
    return probes[option]


@pytest.mark.parametrize("option", OPTIONS)
def test_every_option_works_on_copies_of_copies_and_leaves_the_original_alone(
    option: str, colour: Sync, server: WireServer
) -> None:
    probe = probe_of(option)
    value = server.url + probe.value if option == "base_url" else probe.value
    limit = 1.0 if option != "timeout" else 0.2
    client = client_of(colour, server, probe.where, timeout=limit)

    def see(client: Client) -> bool:
        server.requests.clear()
        error: MeshAPIError | None = None
        for _ in range(probe.calls):
            try:
                kind = "stream" if probe.streams else "create"
                call(colour, client, f"chat.completions.{kind}")
            except MeshAPIError as raised:
                error = raised
        kept = all(each.headers.get("x-first") == "1" for each in server.requests)
        return probe.seen(server.requests, error) and kept

    given: Any = {option: value}
    copy = client.with_options(headers={"X-First": "1"}).with_options(**given)
    assert see(copy.with_options(headers={"X-Last": "1"}))
    assert not see(client)


def test_none_switches_hooks_and_a_limit_off(colour: Sync, server: WireServer) -> None:
    told: list[object] = []
    limit, hooks = RateLimit(rpm=1), Hooks(on_request=told.append)
    client = client_of(colour, server, hooks=hooks, rate_limit=limit, timeout=1)

    free = client.with_options(hooks=None, rate_limit=None)
    for _ in range(3):
        call(colour, free, "chat.completions.create")

    assert len(server.requests) == 3
    assert told == []


@pytest.mark.parametrize("option", sorted({*OPTIONS} - {"hooks", "rate_limit"}))
def test_none_of_anything_else_is_refused(option: str, colour: Sync, server: WireServer) -> None:
    given: Any = {option: None}

    with pytest.raises(ConfigurationError):
        client_of(colour, server).with_options(**given)


@pytest.mark.parametrize("option", inspect.signature(MeshAPI).parameters)
def test_none_given_to_a_client_is_the_default(
    option: str, colour: Sync, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MESHAPI_TOKEN", "rsk_test")

    colour.client(**{option: None})


def test_a_copy_shares_the_connections_the_budget_and_the_totals(
    colour: Sync, server: WireServer
) -> None:
    client = client_of(colour, server)
    copy = client.with_options(timeout=5)
    connections = server.connections

    for each in (client, copy, client.with_options(max_retries=0)):
        call(colour, each, "chat.completions.create")
    colour.settle(copy.close())
    call(colour, client, "chat.completions.create")

    assert server.connections == connections + 1
    assert copy._transport.budget is client._transport.budget
    assert copy.totals == client.totals
    assert client.totals.calls == 4


def test_the_page_the_clients_and_the_calls_have_the_same_options() -> None:
    rows = re.findall(
        r"^\| `(\w+)` \| (\w*) ?\| (\w*) ?\| (\w*) ?\|", PAGE.read_text(), re.MULTILINE
    )
    told = [{row[0] for row in rows if row[column] == "yes"} for column in (1, 2, 3)]

    assert set(inspect.signature(MeshAPI).parameters) == told[0]
    assert set(inspect.signature(AsyncMeshAPI).parameters) == told[0]
    assert ClientOptions.__annotations__.keys() == told[1]
    assert CallOptions.__annotations__.keys() == told[2]
    assert told[1] <= told[0]


@pytest.mark.parametrize("name", METHODS)
def test_an_option_that_is_not_there_is_told_those_that_are(
    name: str, colour: Sync, server: WireServer
) -> None:
    with pytest.raises(TypeError, match=r"'extra_headers': there are timeout, .*headers"):
        call(colour, client_of(colour, server), name, extra_headers={})


@pytest.mark.parametrize(("page", "kind"), [("retries.md", RetryPolicy), ("timeouts.md", Timeout)])
def test_the_defaults_on_a_page_are_those_of_the_class(page: str, kind: type[Any]) -> None:
    text = PAGE.with_name(page).read_text()
    said = dict(re.findall(r"^\| `(\w+)` \| ([\d.]+|True|False)(?: s)? \|", text, re.MULTILINE))
    defaults = {each.name: each.default for each in dataclasses.fields(kind)}

    assert said == {
        name: f"{value:g}" if type(value) is float else str(value)
        for name, value in defaults.items()
    }
