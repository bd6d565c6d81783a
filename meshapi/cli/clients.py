"""The client that a command talks through: over the network, or to this very process."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from meshapi._client import MeshAPI

LOCAL_MODEL = "local/babble"
_TOKENS_PER_SECOND = 40

# Who sits before a terminal would rather be told than wait for a minute.
_PATIENCE_SECONDS = 10


def client_for(*, local: bool) -> MeshAPI:
    """A client of what the environment names, or of a gateway inside this process."""
    # httpx has a command line of its own, for which it would load click and rich.
    cast("dict[str, Any]", sys.modules).setdefault("httpx._main", None)
    from meshapi._client import MeshAPI
    from meshapi._core.retry import RetryPolicy

    patience = RetryPolicy(max_retry_after=_PATIENCE_SECONDS)
    if not local:
        return MeshAPI(retry=patience)
    from meshapi.local import LocalGateway  # Only who asks for it pays for its import.

    gateway = LocalGateway(tokens_per_second=_TOKENS_PER_SECOND)
    gateway.add_key(gateway.token, default_model=LOCAL_MODEL)
    return gateway.client(retry=patience)
