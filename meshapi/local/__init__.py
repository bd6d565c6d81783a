"""A gateway of your own that speaks the Mesh API wire: no key, no network, no bill.

In this process it needs nothing more; its server needs the extra `local`, as do JSON schemas:
`pip install 'meshapi[local]'`.
"""

from meshapi.local.clock import Clock
from meshapi.local.faults import FaultName, FaultOptions
from meshapi.local.gateway import LocalGateway
from meshapi.local.requests import RecordedRequest
from meshapi.local.rules import Limits, Usage
from meshapi.local.script import ReplyOptions, ScriptedCall

__all__ = [
    "Clock",
    "FaultName",
    "FaultOptions",
    "Limits",
    "LocalGateway",
    "RecordedRequest",
    "ReplyOptions",
    "ScriptedCall",
    "Usage",
]
