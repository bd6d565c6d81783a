"""What a row of the table holds."""

from __future__ import annotations

import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from meshapi import MeshAPIError, RetrySafety
from tests.wire_server import Step

Way: TypeAlias = Literal["create", "stream"]

TOKEN = "rsk_5ECRETofTheFaults"
DEADLINE = 0.3
"""Seconds that a call has where the fault is that nothing comes."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What a server does, and what the caller sees of it."""

    script: bytes | Sequence[Step] = b""
    raises: type[MeshAPIError]
    safety: RetrySafety
    posts: int = 1
    """How often the request reached the server."""
    attempts: int | None = None
    """How often it was tried, where that is not the same."""
    says: str = ""
    """Part of the message."""
    facts: Mapping[str, object] = field(default_factory=dict[str, object])
    """Attributes of the error; dots lead into them."""
    partial: str | None = None
    """The text that had come, where some had."""
    ways: Sequence[Way] = ("create", "stream")
    greeting: Sequence[Step] = ()
    tls: ssl.SSLContext | None = None
    url: str | None = None
    """Called instead of the server; `{port}` is the server's."""
    options: Mapping[str, object] = field(default_factory=dict[str, object])
    """Of the client."""


def slow(**of_client: object) -> dict[str, object]:
    """The options where nothing comes: a short deadline, and one attempt."""
    return {"timeout": DEADLINE, "max_retries": 0, **of_client}
