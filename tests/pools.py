"""What a client's pool holds: tests look under the surface here, and nowhere else."""

from __future__ import annotations

from typing import Any

from meshapi._core.connections.async_pool import AsyncPool
from tests.colours import Client


def in_use(client: Client) -> int:
    """How many connections are in use or waited for."""
    return sum(_counts(kept) for kept in pools(client))


def idle(client: Client) -> int:
    """How many connections are kept for the next call."""
    return sum(kept.shelf._idle_count for kept in pools(client))


def _counts(kept: Any) -> int:
    turns = kept._limit._turns
    taken = kept.shelf._most - turns._free
    assert taken == len(kept.shelf._in_use)
    return int(taken) + len(turns._waiting)


def pools(client: Client) -> list[Any]:
    """The pools of its own connections."""
    pool: Any = client.chat.completions._transport.pool
    if isinstance(pool, AsyncPool):
        return [transport._pool for transport, _ in pool._by_loop.values()]
    return [pool._transport._pool]
