"""Posting to an address that a stranger named: over TLS, to a public address, and to the very one that was looked at.

A name is resolved once, every address that it has must be public, and the connection goes to one of these. Nothing is
followed: a redirect is no delivery. Proxies are not used, for they would resolve the name again.
"""

import http.client
import ipaddress
import socket
import ssl
from collections.abc import Mapping
from typing import Any
from urllib.parse import SplitResult, urlsplit

from router.notifications.deliveries import NotDelivered

POST_TIMEOUT_S = 10.0
LONGEST_URL = 2_048
GONE = 410
TRANSLATED = ipaddress.ip_network("64:ff9b::/96")  # IPv4 behind NAT64
GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")


def split_url(url: str, *, allows_private: bool = False) -> SplitResult:
    """Take an address apart; raises ValueError unless it is https, or http where private ones are allowed."""
    if len(url) > LONGEST_URL or not url.isascii() or any(mark <= " " or mark == "\x7f" for mark in url):
        raise ValueError(f"an address has at most {LONGEST_URL} visible ASCII characters")
    parts = urlsplit(url)
    schemes = ("https", "http") if allows_private else ("https",)
    if parts.scheme not in schemes or not parts.hostname or parts.username is not None or parts.password is not None:
        raise ValueError(f"an address is {schemes[0]}://HOST/PATH, without a user")
    if parts.port == 0:  # raises ValueError for what is no port at all
        raise ValueError("0 is no port")
    if not allows_private and _is_address(parts.hostname) and not is_public(parts.hostname):
        raise ValueError(f"{parts.hostname} is not a public address")
    return parts


def is_public(address: str) -> bool:
    """Tell whether an IP address is one of the public internet, also where it stands for an IPv4 address."""
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address):
        if (mapped := found.ipv4_mapped) is not None:
            return is_public(str(mapped))
        if found in TRANSLATED:
            return is_public(str(ipaddress.IPv4Address(int(found) & 0xFFFF_FFFF)))
        if found.sixtofour is not None or found.teredo is not None or found not in GLOBAL_UNICAST:
            return False
    return found.is_global and not found.is_multicast


class PublicPoster:
    """Posts to addresses of strangers; `allows_private` is for tests and for networks of one's own."""

    def __init__(self, *, allows_private: bool = False, context: ssl.SSLContext | None = None) -> None:
        self._allows_private = allows_private
        self._context = context or ssl.create_default_context()

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> None:
        """Post once; raises NotDelivered unless the answer is a 2xx."""
        try:
            parts = split_url(url, allows_private=self._allows_private)
            connection = self._connection(parts)
            try:
                path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
                connection.request("POST", path, body, dict(headers))
                status = connection.getresponse().status
            finally:
                connection.close()
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise NotDelivered(str(getattr(error, "strerror", None) or error or type(error).__name__)[:200]) from None
        if not 200 <= status < 300:
            raise NotDelivered(f"HTTP {status}", is_final=status == GONE)

    def _connection(self, parts: SplitResult) -> http.client.HTTPConnection:
        """Make a connection to the host's address as it is now; raises NotDelivered where it is not public."""
        host, is_tls = str(parts.hostname), parts.scheme == "https"
        port = parts.port or (443 if is_tls else 80)
        addresses = [str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
        if not self._allows_private and not all(map(is_public, addresses)):
            raise NotDelivered("its name leads to an address that is not public", is_final=True)
        if is_tls:
            return _PinnedTls(host, port, addresses[0], self._context)
        return _Pinned(host, port, addresses[0])


class _Pinned(http.client.HTTPConnection):
    """A connection to one address, whatever the name leads to by then."""

    def __init__(self, host: str, port: int, address: str) -> None:
        super().__init__(host, port, timeout=POST_TIMEOUT_S)
        self._address = address

    def connect(self) -> None:
        self.sock = socket.create_connection((self._address, self.port), self.timeout)


class _PinnedTls(http.client.HTTPSConnection):
    """The same over TLS, where the certificate is that of the name."""

    def __init__(self, host: str, port: int, address: str, context: ssl.SSLContext) -> None:
        super().__init__(host, port, timeout=POST_TIMEOUT_S, context=context)
        self._address = address
        self._tls: Any = context

    def connect(self) -> None:
        plain = socket.create_connection((self._address, self.port), self.timeout)
        self.sock = self._tls.wrap_socket(plain, server_hostname=self.host)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True
