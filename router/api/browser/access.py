"""Who may come in: names that the server answers to, and requests from other sites.

A page at another site can make somebody's browser send requests here. Three things stand against it: the session's
cookie is SameSite=Strict, a change needs a CSRF token, and what the browser says of where a request comes from must
fit. A name that resolves to this machine only by a trick (DNS rebinding) is not among those that are answered to.
"""

import hashlib
import hmac
import ipaddress
from collections.abc import Collection, Mapping

from starlette.types import Scope

from router.api.auth import host_of
from router.errors import Forbidden


class Refused(Forbidden):
    """Not allowed, and worth an entry in the audit log."""

    def __init__(self, act: str, message: str) -> None:
        super().__init__(message)
        self.act = act


def require_known_host(headers: Mapping[str, str], names: Collection[str], setting: str) -> None:
    """Raise Refused unless the Host header is an address, localhost, or one of the names, which `setting` adds to."""
    host = host_of(headers.get("host", "")).lower().rstrip(".")
    if host == "localhost" or host in names:
        return
    try:
        ipaddress.ip_address(host)
    except ValueError:
        message = f"{host[:100]!r} is not a name of this server; add it to {setting} if it should be"
        raise Refused("unknown host", message) from None


def require_same_site(headers: Mapping[str, str]) -> None:
    """Raise Refused when the browser says that another site sent this."""
    fetched_from, origin = headers.get("sec-fetch-site"), headers.get("origin")
    is_foreign = fetched_from is not None and fetched_from not in ("same-origin", "none")
    if origin is not None and origin.partition("://")[2].lower() != headers.get("host", "").lower():
        is_foreign = True
    if is_foreign:
        raise Refused("cross-site request", "this came from another site")


def address_of(scope: Scope) -> str:
    """The address of the peer, as the server knows it (`server.trusted_proxies` says whose word counts)."""
    peer = scope.get("client")
    return str(peer[0]) if peer else ""


def csrf_of(token: str) -> str:
    """The token that every change must carry besides the cookie; made from the session's, so it needs no storage."""
    return hmac.new(token.encode(), b"csrf", hashlib.sha256).hexdigest()
