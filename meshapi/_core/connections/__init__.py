"""What is under the transport: pools of connections, and the network below them.

`pool` and `async_pool` say whose connections a call uses, `kept` keeps them between calls on a
`shelf`, `limit` bounds how many there are, `connection` is one of them, `routes` and `proxies` say
how a host is reached, and a `line` moves the bytes until the deadline of the call.

Nothing here is imported before a client is made, and asyncio not before one that uses it.
"""
