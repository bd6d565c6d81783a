"""What is under the transport: pools of connections, and the network below them.

`pool` says whose connections a call uses, `kept` keeps them between calls on a `shelf`, `limit`
bounds how many there are, `connection` is one of them, `routes` and `proxies` say how a host is
reached, and `network` moves the bytes within a deadline.
"""

from meshapi._core.connections.network import Departure, at_most, cut_off
from meshapi._core.connections.pool import AsyncPool, Pool
from meshapi._core.connections.routes import NetworkOptions

__all__ = ["AsyncPool", "Departure", "NetworkOptions", "Pool", "at_most", "cut_off"]
