"""What every test may ask for: a colour, a gateway, an environment without keys."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import settings

from meshapi.local import LocalGateway
from tests.colours import Async, Sync

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


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No key or proxy of the person who runs the tests takes part in them."""
    for name in ("MESHAPI_BASE_URL", "MESHAPI_TOKEN", "MESHAPI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
