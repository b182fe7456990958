"""The cookies of the admin pages, and how often a sign-in may be tried."""

import ipaddress
from collections import deque
from collections.abc import Callable
from time import monotonic

from starlette.requests import Request
from starlette.responses import Response

from router.errors import RateLimited

COOKIE = "tierwise_admin"
ZONE_COOKIE = "tierwise_reports_zone"
MADE_UP_COOKIE = "tierwise_made_up"  # "with" in a browser that wants made-up requests counted
FLASH_COOKIE = "tierwise_said"
REMEMBERED_COOKIE = "tierwise_known"  # of a browser that signed in once: counted apart, and nothing else
PATH = "/admin"
WINDOW_S = RETRY_AFTER_S = 900
WRONG_PER_ADDRESS, WRONG_FROM_ANYWHERE = 10, 100
PACE_S = 1.0  # between two tries where they are looked at slowly
MOST_IN_LINE = 30
SLOW_RETRY_S = 5
MOST_PLACES = 10_000


class SignedOut(Exception):
    """Nobody is signed in, or not any more."""


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


class _Tries:
    """The wrong tries of a while, and those that are being looked at."""

    def __init__(self) -> None:
        self.wrong_at: deque[float] = deque()
        self.pending = 0

    def count(self, since: float) -> int:
        """Count what was wrong since then; what is being looked at counts as wrong until it is known to be right."""
        while self.wrong_at and self.wrong_at[0] < since:
            self.wrong_at.popleft()
        return len(self.wrong_at) + self.pending


class SignInRate:
    """How often a wrong secret may be tried, per worker. Right ones do not count.

    An address that was wrong too often has to wait; nobody else has to for its sake. This machine's own addresses are
    one (a proxy brings everybody in by them), and it is never shut: beyond the limit its tries are looked at one by
    one, slowly. So are those of addresses that were wrong before, once too many are wrong from all together.
    """

    def __init__(
        self,
        per_address: int = WRONG_PER_ADDRESS,
        from_anywhere: int = WRONG_FROM_ANYWHERE,
        pace_s: float = PACE_S,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._per_address = per_address
        self._from_anywhere = from_anywhere
        self._pace_s = pace_s
        self._clock = clock
        self._by_place: dict[str, _Tries] = {}
        self._all = _Tries()
        self._next_at = 0.0

    def begin(self, address: str) -> float:
        """Begin one try; returns how many seconds it has to wait. Raises RateLimited; else `end` must follow."""
        now = self._clock()
        place, is_local = _neighbourhood(address)
        tries = self._by_place.get(place)
        count = tries.count(now - WINDOW_S) if tries is not None else 0
        if not is_local and count >= self._per_address:
            raise RateLimited(
                "too many wrong tries from your address; wait a quarter of an hour", retry_after_seconds=RETRY_AFTER_S
            )
        wait_s = 0.0
        if count >= self._per_address or (count and self._all.count(now - WINDOW_S) >= self._from_anywhere):
            wait_s = max(self._next_at - now, 0.0)
            if wait_s > MOST_IN_LINE * self._pace_s:
                raise RateLimited("too many wrong tries; try again soon", retry_after_seconds=SLOW_RETRY_S)
            self._next_at = now + wait_s + self._pace_s
        if tries is None:
            self._forget_old(now)
            tries = self._by_place[place] = _Tries()
        tries.pending += 1
        self._all.pending += 1
        return wait_s

    def end(self, address: str, *, is_right: bool) -> None:
        """End a try that was begun."""
        place, _ = _neighbourhood(address)
        for tries in (self._by_place[place], self._all):
            tries.pending -= 1
            if not is_right:
                tries.wrong_at.append(self._clock())

    def _forget_old(self, now: float) -> None:
        """Forget addresses of which nothing counts any more, once there are many."""
        if len(self._by_place) >= MOST_PLACES:
            since = now - WINDOW_S
            self._by_place = {place: tries for place, tries in self._by_place.items() if tries.count(since)}


def _neighbourhood(address: str) -> tuple[str, bool]:
    """What counts as one address, and whether it is this machine's own.

    An IPv6 network of 64 bits is one, for whoever has one has them all; this machine is one, under all its names.
    """
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return address, False
    if isinstance(ip, ipaddress.IPv6Address):
        ip = ip.ipv4_mapped or ip
    if ip.is_loopback:
        return "this machine", True
    if isinstance(ip, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((ip, 64), strict=False)), False
    return str(ip), False
