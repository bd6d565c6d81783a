"""What is under the transport: pools of connections, and the network below them.

`pool` says whose connections a call uses, `kept` keeps them between calls on a `shelf`, `limit`
bounds how many there are, `connection` is one of them, `routes` and `proxies` say how a host is
reached, and a `line` moves the bytes, for threads within their `deadline`.
"""

from meshapi._core.connections.deadline import at_most
from meshapi._core.connections.line import Departure
from meshapi._core.connections.pool import AsyncPool, Pool
from meshapi._core.connections.routes import NetworkOptions
from meshapi._core.connections.sync_line import cut_off

__all__ = ["AsyncPool", "Departure", "NetworkOptions", "Pool", "at_most", "cut_off"]
