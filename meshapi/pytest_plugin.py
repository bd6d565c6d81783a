"""The fixture `mesh_gateway`: a local gateway for the tests of an app that calls the Mesh API.

pytest finds it by itself once the package is installed. Nothing else of the package is imported
before a test asks for the fixture, which needs the extra `local`.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from meshapi.local import LocalGateway

_BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="session")
def _mesh_gateway_server() -> Iterator[LocalGateway]:  # pyright: ignore[reportUnusedFunction]  # pytest finds it by its name
    from meshapi.local import LocalGateway

    with LocalGateway() as gateway:
        yield gateway


@pytest.fixture
def mesh_gateway(
    _mesh_gateway_server: LocalGateway, monkeypatch: pytest.MonkeyPatch
) -> Iterator[LocalGateway]:
    """A gateway for this test, on loopback; clients made without arguments call it.

    Its clock stands at the beginning of 2026. Clients do not wait before a retry: the clock moves.
    """
    from meshapi.local.environment import past_proxies

    gateway = _mesh_gateway_server.start()  # A test may have stopped it.
    gateway.reset()
    gateway.clock.set(_BEGINNING)
    monkeypatch.setenv("MESHAPI_BASE_URL", gateway.base_url)
    monkeypatch.setenv("MESHAPI_TOKEN", gateway.token)
    for name, hosts in past_proxies().items():
        monkeypatch.setenv(name, hosts)
    with gateway.skip_waits():
        yield gateway
    gateway.reset()
