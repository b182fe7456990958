"""Who may come in: names that the server answers to, requests from other sites, cookies, and the rate of sign-ins.

A page at another site can make the operator's browser send requests here. Three things stand against it: the cookie
is SameSite=Strict, a change needs the CSRF token, and what the browser says of where a request comes from must fit.
A name that resolves to this machine only by a trick (DNS rebinding) is not among those that are answered to.
"""

import ipaddress
from collections.abc import Collection, Mapping
from functools import cached_property
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from router.api.auth import host_of
from router.errors import Forbidden, RateLimited

if TYPE_CHECKING:
    from limits.strategies import MovingWindowRateLimiter

COOKIE = "tierwise_admin"
ZONE_COOKIE = "tierwise_zone"
FLASH_COOKIE = "tierwise_said"
PATH = "/admin"
PER_ADDRESS = "10/15minutes"
FROM_ANYWHERE = "100/15minutes"
RETRY_AFTER_S = 900


class Refused(Forbidden):
    """Not allowed, and worth an entry in the audit log."""

    def __init__(self, act: str, message: str) -> None:
        super().__init__(message)
        self.act = act


class SignedOut(Exception):
    """Nobody is signed in, or not any more."""


def require_known_host(headers: Mapping[str, str], names: Collection[str]) -> None:
    """Raise Refused unless the Host header is an address, localhost, or one of the names."""
    host = host_of(headers.get("host", "")).lower().rstrip(".")
    if host == "localhost" or host in names:
        return
    try:
        ipaddress.ip_address(host)
    except ValueError:
        message = f"{host[:100]!r} is not a name of this server; add it to admin.hosts if it should be"
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


def set_cookie(response: Response, request: Request, name: str, value: str, max_age_s: int) -> None:
    """Set a cookie for the admin plane only: out of reach of scripts, and of other sites."""
    response.set_cookie(
        name,
        value,
        max_age=max_age_s,
        path=PATH,
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="strict",
    )


class SignInRate:
    """How often signing in may be tried, per worker: by address, and from all addresses but this machine's."""

    def __init__(self, per_address: str = PER_ADDRESS, from_anywhere: str = FROM_ANYWHERE) -> None:
        self._per_address = per_address
        self._from_anywhere = from_anywhere

    @cached_property
    def _limiter(self) -> "MovingWindowRateLimiter":
        from limits.storage import MemoryStorage
        from limits.strategies import MovingWindowRateLimiter

        return MovingWindowRateLimiter(MemoryStorage())

    def count(self, address: str) -> None:
        """Count one try; raises RateLimited when there were too many."""
        from limits import parse

        place, is_local = _neighbourhood(address)
        if not self._limiter.hit(parse(self._per_address), "address", place):
            raise RateLimited(
                "too many tries from your address; wait a quarter of an hour", retry_after_seconds=RETRY_AFTER_S
            )
        if not is_local and not self._limiter.hit(parse(self._from_anywhere), "anywhere"):
            message = "too many tries; wait a quarter of an hour, or sign in from the machine itself"
            raise RateLimited(message, retry_after_seconds=RETRY_AFTER_S)


def _neighbourhood(address: str) -> tuple[str, bool]:
    """What counts as one address: an IPv6 network of 64 bits is one, for whoever has one has them all."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return address, False
    if isinstance(ip, ipaddress.IPv6Address) and not ip.is_loopback:
        return str(ipaddress.ip_network((ip, 64), strict=False)), False
    return address, ip.is_loopback
