"""How a host is reached: through which proxy, if any, and with whose certificates trusted."""

from __future__ import annotations

import functools
import importlib.util
import ipaddress
import os
import ssl
from contextlib import suppress
from types import NoneType
from typing import TypedDict
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx

from meshapi._core.checks import is_whole
from meshapi.errors import ConfigurationError

_MOST_CONNECTIONS = 1000


class NetworkOptions(TypedDict):
    """How the network is reached, as it was given; fixed for the life of a client."""

    proxy: object
    ssl_context: object
    max_connections: int | None


class Routes:
    """The ways from here to any host, read once from the options and the environment."""

    def __init__(self, options: NetworkOptions) -> None:
        """Check the options; of the environment's proxies, only what is used is checked.

        Raises:
            ConfigurationError: an option cannot work.
        """
        most = options["max_connections"]
        self.most = _MOST_CONNECTIONS if most is None else most
        if not is_whole(self.most, least=1):
            raise ConfigurationError("max_connections must be a whole number above 0")
        if not isinstance(options["proxy"], (str, NoneType)):
            raise ConfigurationError("proxy must be a URL such as http://127.0.0.1:3128")
        if not isinstance(options["ssl_context"], (ssl.SSLContext, NoneType)):
            raise ConfigurationError("ssl_context must be an ssl.SSLContext")
        self._trust = options["ssl_context"]
        given = options["proxy"]
        self._given = None if given is None else _proxy(given, "proxy")
        self._of_environment = {} if self._given else getproxies()

    def check(self, url: str) -> None:
        """Look whether the proxy to this URL, if there is one, can work.

        Raises:
            ConfigurationError: it cannot.
        """
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        self.proxy_to(parts.scheme, parts.hostname or "", port)

    def trust_for(self, scheme: str) -> ssl.SSLContext | None:
        """Whom TLS trusts, where this scheme speaks it; certificates are loaded when first used.

        Raises:
            ConfigurationError: the system's certificates cannot be read.
        """
        return (self._trust or _default_trust()) if scheme == "https" else None

    def proxy_to(self, scheme: str, host: str, port: int) -> httpx.Proxy | None:
        """The proxy that leads to a host; None where the way is direct.

        Raises:
            ConfigurationError: the proxy that the environment names cannot work.
        """
        name = next((each for each in (scheme, "all") if each in self._of_environment), None)
        if self._given or name is None or _is_exempt(host.strip("[]"), port):
            return self._given
        url = self._of_environment[name]
        return _proxy(url if "://" in url else f"http://{url}", f"{name.upper()}_PROXY")


def _proxy(url: str, name: str) -> httpx.Proxy:
    try:
        proxy = httpx.Proxy(url)
        # What is left over behind host and port may be the end of a password.
        is_whole_url = bool(proxy.url.host) and proxy.url.path in {"", "/"} and url.count("@") < 2
    except (ValueError, UnicodeError, httpx.InvalidURL):
        is_whole_url = False
        proxy = None
    if proxy is None or not is_whole_url:  # The URL may hold a password: it is not shown.
        raise ConfigurationError(f"{name} is no proxy URL such as http://127.0.0.1:3128")
    if proxy.url.scheme.startswith("socks") and not importlib.util.find_spec("socksio"):
        raise ConfigurationError(f"{name} needs the package socksio: pip install httpx[socks]")
    return proxy


def _is_exempt(host: str, port: int) -> bool:
    """Whether `NO_PROXY` names a host: by its name or domain, with its port, or by its network."""
    is_ipv6 = ":" in host
    forms = [f"[{host}]", host, f"[{host}]:{port}"] if is_ipv6 else [host, f"{host}:{port}"]
    return (
        "*" in _exempt() or any(proxy_bypass(form) for form in forms) or _is_in_exempt_network(host)
    )


def _exempt() -> list[str]:
    entries = os.environ.get("no_proxy", os.environ.get("NO_PROXY", ""))
    return [entry.strip() for entry in entries.split(",")]


def _is_in_exempt_network(host: str) -> bool:
    with suppress(ValueError):
        address = ipaddress.ip_address(host)
        return any(address in network for network in _exempt_networks())
    return False


def _exempt_networks() -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    networks: list[ipaddress.IPv4Network | ipaddress.IPv6Network] = []
    for entry in _exempt():
        with suppress(ValueError):
            networks.append(ipaddress.ip_network(entry.strip("[]"), strict=False))
    return networks


_TRUST = ("SSL_CERT_FILE", "SSL_CERT_DIR")


@functools.cache
def _default_trust() -> ssl.SSLContext:
    # Loading the certificates takes tens of milliseconds: once per process is enough.
    try:
        return httpx.create_ssl_context()
    except (OSError, ssl.SSLError) as error:
        named = [f"{name}={os.environ[name]}" for name in _TRUST if name in os.environ]
        source = f" ({', '.join(named)})" if named else ""
        raise ConfigurationError(
            f"The system's certificates cannot be read{source}: {error}"
        ) from None
