"""The way to a host, step by step and within a few seconds each: its addresses, TCP, TLS."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from meshapi.errors import ConnectionFailed, DeadlineExceeded

_SECONDS = 5.0
_DAY = 86_400

ResultT = TypeVar("ResultT")


def addresses_of(host: str, port: int) -> list[str]:
    """The addresses of a host.

    Raises:
        ConnectionFailed: it has none, or none was found in time.
    """

    def look_up() -> list[str]:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        return list(dict.fromkeys(str(address[0]) for *_, address in found))

    try:
        return _bounded(look_up)
    except TimeoutError:
        raise DeadlineExceeded(f"{host} was not resolved within {_SECONDS:g} s") from None
    except (OSError, UnicodeError) as error:
        raise ConnectionFailed(f"{host} has no address: {error}") from None


def connect(host: str, port: int, trust: ssl.SSLContext | None) -> str:
    """Connect to a host, with TLS where it is trusted by somebody, and say how that went.

    Raises:
        ConnectionFailed: there is no connection, none in time, or none that can be trusted.
    """
    begun = time.monotonic()
    try:
        with socket.create_connection((host, port), timeout=_SECONDS) as line:
            encryption = _encrypted(line, host, trust)
    except ssl.SSLCertVerificationError as error:
        raise ConnectionFailed(f"The certificate is not trusted: {error.verify_message}") from None
    except TimeoutError:
        message = f"No connection to {host}, port {port}, within {_SECONDS:g} s"
        raise DeadlineExceeded(message) from None
    except OSError as error:
        raise ConnectionFailed(f"No connection to {host}, port {port}: {error}") from None
    return f"port {port} answers in {time.monotonic() - begun:.2f} s, {encryption}"


def _encrypted(line: socket.socket, host: str, trust: ssl.SSLContext | None) -> str:
    if trust is None:
        return "without TLS (http://)"
    with trust.wrap_socket(line, server_hostname=host) as encrypted:
        return f"{encrypted.version()}, {_validity(encrypted)}"


def _validity(line: ssl.SSLSocket) -> str:
    until = (line.getpeercert() or {}).get("notAfter")
    if not isinstance(until, str):
        return "a certificate without an end"
    days = (ssl.cert_time_to_seconds(until) - time.time()) / _DAY
    return f"its certificate is valid for {days:.0f} more days"


def _bounded(work: Callable[[], ResultT]) -> ResultT:
    """Do what cannot be told to hurry in a thread of its own, which is left alone if it is late.

    Raises:
        TimeoutError: it was late.
    """
    results: list[ResultT] = []
    errors: list[BaseException] = []

    def worked() -> None:
        try:
            results.append(work())
        except (OSError, UnicodeError) as error:
            errors.append(error)

    thread = threading.Thread(target=worked, daemon=True)
    thread.start()
    thread.join(_SECONDS)
    if errors:
        raise errors[0]
    if not results:
        raise TimeoutError
    return results[0]
