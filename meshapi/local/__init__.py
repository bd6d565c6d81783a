"""A gateway of your own that speaks the Mesh API wire: no key, no network, no bill.

In this process it needs nothing more; its server needs the extra `local`, as do JSON schemas:
`pip install 'meshapi[local]'`.
"""

from meshapi.local.clock import Clock
from meshapi.local.gateway import LocalGateway
from meshapi.local.requests import RecordedRequest
from meshapi.local.rules import Usage

__all__ = ["Clock", "LocalGateway", "RecordedRequest", "Usage"]
