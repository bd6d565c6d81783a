"""Faults below HTTP, and in it: no connection, or one that breaks."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import trustme

from meshapi import ConfigurationError, ConnectionFailed, DeadlineExceeded, StreamInterrupted
from tests.faults.fault import Fault, slow
from tests.wire_server import End, Forever, Step, response

ANSWER = response('{"choices": [{"message": {"content": "Hello"}}]}')
BODY = ANSWER.partition(b"\r\n\r\n")[2]
HEAD = ANSWER.removesuffix(BODY)


def untrusted() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority: Any = trustme.CA()  # Its types are not whole.
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


NOT_SENT = Fault(raises=ConnectionFailed, safety="not_sent", posts=0, attempts=3)
BROKEN = Fault(raises=ConnectionFailed, safety="ambiguous")


def not_sent(**facts: Any) -> Fault:
    """A request that never left is tried again."""
    return replace(NOT_SENT, **facts)


def broken(script: bytes | Sequence[Step] = b"", **facts: Any) -> Fault:
    """A request that left and was not answered may have been billed: it is sent once."""
    return replace(BROKEN, script=script, **facts)


FAULTS = {
    "refused": not_sent(url="http://127.0.0.1:1"),
    "no such host": not_sent(url="http://mesh.invalid"),
    "an address that is none": Fault(
        url="http://256.256.256.256", raises=ConfigurationError, safety="final", posts=0, attempts=1
    ),
    "untrusted certificate": not_sent(tls=untrusted(), says="CERTIFICATE_VERIFY_FAILED"),
    "TLS to a plain port": not_sent(
        url="https://127.0.0.1:{port}", greeting=[response("Speak HTTP", status=400)]
    ),
    "TLS to a server that hangs up": not_sent(url="https://127.0.0.1:{port}", greeting=[End.FIN]),
    "TLS to a server that resets": not_sent(url="https://127.0.0.1:{port}", greeting=[End.RESET]),
    "TLS to a server that says nothing": not_sent(
        url="https://127.0.0.1:{port}",
        raises=DeadlineExceeded,
        attempts=1,
        script=[30.0],
        greeting=[30.0],
        options=slow(),
    ),
    "plain to a TLS port": broken(tls=untrusted(), url="http://127.0.0.1:{port}", posts=0),
    "reset when accepted": broken(greeting=[0.05, End.RESET], posts=0),
    "hung up when accepted": broken(greeting=[0.05, End.FIN]),
    "reset before the head": broken([End.RESET]),
    "hung up before the head": broken(),
    "reset in the head": broken([HEAD[:30], End.RESET]),
    "hung up in the head": broken(HEAD[:30]),
    "hung up before the last line of the head": broken(HEAD[:-2]),
    "reset after the head": broken([HEAD, 0.02, End.RESET], ways=["create"]),
    "hung up after the head": broken(HEAD, ways=["create"]),
    "reset in the body": broken([ANSWER[:-5], 0.02, End.RESET], ways=["create"]),
    "short body": broken(ANSWER[:-1], ways=["create"]),
    "bad chunk size": broken(
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
        ways=["create"],
    ),
    "chunk that is longer than it says": broken(
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}}}\r\n0\r\n\r\n",
        ways=["create"],
    ),
    "chunks without an end": broken(
        b'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\ne\r\n{"choices":[]}\r\n',
        ways=["create"],
    ),
    "a head of a megabyte": broken(b"HTTP/1.1 200 OK\r\nx: " + b"a" * 2**20 + b"\r\n\r\n"),
    "heads for ever": broken([b"HTTP/1.1 200 OK\r\n", Forever(b"x-more: " + b"a" * 900 + b"\r\n")]),
    "no HTTP": broken(b"SSH-2.0-OpenSSH_9.6\r\n\r\n"),
    "HTTP/2": broken(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    "a status that is no number": broken(b"HTTP/1.1 abc OK\r\n\r\n"),
    "a header without a name": broken(b"HTTP/1.1 200 OK\r\n: x\r\n\r\n"),
    "a zero byte in a header": broken(b"HTTP/1.1 200 OK\r\nx: a\0b\r\n\r\n"),
    "two lengths that differ": broken(
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}"
    ),
    "a negative length": broken(b"HTTP/1.1 200 OK\r\ncontent-length: -2\r\n\r\n{}"),
    "a transfer encoding that nobody knows": broken(
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\n{}"
    ),
    "never answers": broken([30.0], raises=DeadlineExceeded, options=slow()),
    "never accepts the head": broken(
        [b"HTTP/1.1 100 Continue\r\n\r\n", 30.0], raises=DeadlineExceeded, options=slow()
    ),
    "continues for ever": broken(
        [Forever(b"HTTP/1.1 100 Continue\r\n\r\n")], raises=DeadlineExceeded, options=slow()
    ),
    "drips the head": broken(
        [step for byte in HEAD for step in (bytes([byte]), 0.02)],
        raises=DeadlineExceeded,
        options=slow(),
    ),
    "stalls in the body": broken(
        [HEAD, 30.0], raises=DeadlineExceeded, options=slow(), says="0.3 s"
    ),
    "drips the body": broken(
        [HEAD, *(step for byte in BODY for step in (bytes([byte]), 0.02))],
        raises=DeadlineExceeded,
        options=slow(),
    ),
    "switches protocols": broken(
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n"
    ),
    **{
        f"{how} in a stream, {where}": Fault(
            script=[b"HTTP/1.1 200 OK\r\ncontent-length: 99999\r\n\r\n" + sent, 0.02, end],
            raises=StreamInterrupted,
            safety="ambiguous",
            ways=["stream"],
            facts={"events": int(bool(sent))},
            partial="Hel" if sent else None,
        )
        for how, end in {"reset": End.RESET, "hung up": End.FIN}.items()
        for where, sent in {
            "before an event": b"",
            "after an event": b'data: {"choices": [{"delta": {"content": "Hel"}}]}\n\n',
        }.items()
    },
}
