"""What is under the transport: pools of connections, and the network below them.

`pool` says whose connections a call uses, `kept` keeps them between calls, `limit` bounds how many
there are, `routes` says how a host is reached, and `network` moves the bytes within a deadline.
"""

from meshapi._core.connections.network import at_most, cut_off
from meshapi._core.connections.pool import AsyncPool, Pool
from meshapi._core.connections.routes import NetworkOptions

__all__ = ["AsyncPool", "NetworkOptions", "Pool", "at_most", "cut_off"]
