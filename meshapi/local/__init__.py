"""A real HTTP server on loopback that speaks the Mesh API wire: no key, no network, no bill.

It needs the extra `local`: `pip install 'meshapi[local]'`.
"""

try:
    from meshapi.local.gateway import LocalGateway
except ModuleNotFoundError as missing:
    if missing.name not in {"starlette", "uvicorn"}:
        raise
    raise ModuleNotFoundError(
        "The local gateway needs its extra: pip install 'meshapi[local]'", name=missing.name
    ) from None

from meshapi.local.rules import Key, Price, RecordedRequest

__all__ = ["Key", "LocalGateway", "Price", "RecordedRequest"]
