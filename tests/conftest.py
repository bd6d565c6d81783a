"""What every test may ask for: a colour, a gateway, an environment without keys."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import settings
from jsonschema import ValidationError

from meshapi.local import LocalGateway, RecordedRequest, faults, replies
from meshapi.local.replies import Reply
from meshapi.local.service import Service
from tests.colours import Async, Sync
from tests.published import check_document, is_known
from tests.terminal import aim

# The same examples in every run: what fails here fails everywhere.
settings.register_profile("suite", derandomize=True, max_examples=500, deadline=None)
settings.load_profile("suite")


@pytest.fixture(params=[Sync, Async], ids=["sync", "async"])
def colour(request: pytest.FixtureRequest) -> Iterator[Sync]:
    """Sync, then async."""
    colour: Sync = request.param()
    yield colour
    colour.end()


@pytest.fixture(scope="session")
def gateway() -> Iterator[LocalGateway]:
    """A real gateway for the whole run; a test that needs a limit adds a key of its own."""
    with LocalGateway() as gateway:
        gateway.add_template("support-reply", "You help {{company}} customers on {{plan}}.")
        yield gateway


@pytest.fixture(scope="session")
def _echoing() -> Iterator[LocalGateway]:
    with LocalGateway(answers="echo") as gateway:
        yield gateway


@pytest.fixture
def echo(_echoing: LocalGateway, monkeypatch: pytest.MonkeyPatch) -> LocalGateway:
    """A gateway that says what it is told, and is where the environment points."""
    _echoing.reset()
    aim(monkeypatch, _echoing.base_url, _echoing.token)
    return _echoing


@pytest.fixture(scope="session", autouse=True)
def _everything_sent_is_as_published() -> Iterator[None]:
    """Whatever a local gateway sends in the whole suite is held to the published document."""
    found: list[str] = []

    def encoded(document: object) -> bytes:
        try:
            check_document(document)
        except (LookupError, TypeError, ValueError, ValidationError) as problem:
            found.append(f"{document}: {problem}")
        return plain_encoded(document)

    def respond(service: Service, request: RecordedRequest) -> Reply:
        reply = plain_respond(service, request)
        if faults.HEADER not in request.headers and not is_known(reply.status):
            found.append(f"{request}: the status {reply.status}")
        return reply

    plain_encoded, plain_respond = replies.encoded, Service.respond
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(replies, "encoded", encoded)
        patch.setattr(Service, "respond", respond)
        yield
    assert not found, "\n".join(found)


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No key, log, telemetry or proxy of the person who runs the tests takes part in them."""
    for name in [each for each in os.environ if each.startswith(("MESHAPI_", "OTEL_"))]:
        monkeypatch.delenv(name)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
