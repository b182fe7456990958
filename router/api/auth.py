"""Who calls: a key, or in `auto` mode, while there is no key, a caller that can only be on this machine.

Keyless needs a loopback peer, one Host header that names loopback, no Origin, no sign of a proxy and a JSON body if
there is one, so that neither a proxy nor a web page in the operator's browser can use it. Once there is a live key
`auto` is `required`: who hands out keys has more callers than this machine's.
"""

import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

from starlette.types import Scope

from router.errors import Forbidden, InvalidRequest, Unauthenticated, Unavailable
from router.keys import KEY_PREFIX, NO_LIMITS, KeyLimits, KeyRing, KnownKey
from router.keys import Scope as KeyScope
from router.money import NotMoney, nano_from_usd
from router.types import DEFAULT_SEGMENT, SEGMENT_NAME, UNKNOWN_COUNTRY, Tier

CONVERSATION_KEY = "conversation_id"
CONVERSATION_HEADER = "x-tierwise-conversation"
MAX_COST_HEADER = "x-tierwise-max-cost-usd"
ALLOW_BACKGROUND_HEADER = "x-tierwise-allow-background"
IDEMPOTENCY_HEADER = "idempotency-key"
WISHES = frozenset({CONVERSATION_HEADER, MAX_COST_HEADER, ALLOW_BACKGROUND_HEADER, IDEMPOTENCY_HEADER})
COUNTRY_CODE = re.compile(r"[A-Z]{2}")
# A name or an IPv4 address, or an IPv6 address in brackets; then a port perhaps. No user, no path, no spaces.
HOST = re.compile(
    r"(?:(?P<name>[A-Za-z0-9._-]+)|\[(?P<bracketed>[0-9A-Fa-f]*:[0-9A-Fa-f:.]*)\])(?::(?P<port>[0-9]{1,5}))?", re.ASCII
)
MOST_PORT = 65_535
_JSON = "application/json"
# What proxies, balancers and delivery networks add. Underscores are read as hyphens: some servers mix them up.
PROXY_HEADERS = frozenset(
    {"via", "cdn-loop", "client-ip", "proxy-connection", "remote-addr", "true-client-ip", "wl-proxy-client-ip"}
    | {f"x-{name}" for name in ("client-ip", "cluster-client-ip", "host", "proxyuser-ip", "real-ip", "remote-ip")}
    | {f"x-{name}" for name in ("originating-ip", "remote-addr", "scheme", "url-scheme")}
)
PROXY_PREFIXES = ("forwarded", "x-forward", "x-original-", "cf-", "x-envoy-", "x-arr-", "x-azure-", "fastly-", "fly-")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sent a request, and what it may do; `key_id` None is the keyless local caller.

    `conversation` is what a header names, for clients that cannot name it in the body.
    """

    key_id: int | None
    segment: str
    country: str
    scopes: frozenset[KeyScope]
    allowed_tiers: frozenset[Tier]
    conversation: str | None = None
    surface: str = ""
    max_cost_nanousd: int | None = None  # of one request
    allowed_models: frozenset[str] | None = None  # of those with names of their own; None: all
    limits: KeyLimits | None = None  # None: nothing is limited
    idempotency_key: str | None = None  # as it came
    allows_background: bool = False  # that an answer which takes long becomes a background job

    def conversation_of(self, metadata: Mapping[str, str] | None) -> str | None:
        """The conversation that a request belongs to, as its metadata or else a header name it."""
        return (metadata.get(CONVERSATION_KEY) if metadata else None) or self.conversation or None

    def require(self, scope: KeyScope) -> None:
        """Raise Forbidden unless the caller has the scope."""
        if scope not in self.scopes:
            raise Forbidden(f"this key has no scope {scope}")


LOCAL_SCOPES = frozenset({KeyScope.CHAT, KeyScope.FEEDBACK, KeyScope.METRICS})
LOCAL_CALLER = Caller(None, DEFAULT_SEGMENT, UNKNOWN_COUNTRY, LOCAL_SCOPES, frozenset(Tier))


class Authenticator:
    """Turns headers into a Caller; raises Unauthenticated."""

    def __init__(self, keys: KeyRing, mode: Literal["auto", "required"]) -> None:
        self.keys = keys
        self._mode = mode
        self.local = replace(LOCAL_CALLER, limits=None if keys.defaults == NO_LIMITS else keys.defaults)

    async def admit(self, scope: Scope) -> Caller:
        """Return who calls; raises Unauthenticated, or Unavailable where a key cannot be checked."""
        headers = headers_of(scope)
        secrets = _secrets(headers)
        if secrets:
            if (key := await self._find(secrets)) is not None:
                return caller_of(key, headers)
            if any(secret.startswith(KEY_PREFIX) for secret in secrets):
                raise Unauthenticated("the API key is unknown or revoked")
        if await self.needs_no_key(scope, headers):
            return self.local if WISHES.isdisjoint(headers) else self._local_with_wishes(headers)
        if await self._lacks_only_its_type(scope, headers):
            raise Unauthenticated("a body that comes without a key must be JSON: send content-type: application/json")
        needed = "an API key is needed: Authorization: Bearer KEY, or x-api-key: KEY"
        raise Unauthenticated("the API key is unknown" if secrets else needed)

    def _local_with_wishes(self, headers: Mapping[str, str]) -> Caller:
        """The local caller, with what its headers ask for; raises InvalidRequest."""
        named, cap, once = headers.get(CONVERSATION_HEADER), _max_cost(headers), headers.get(IDEMPOTENCY_HEADER)
        local = replace(self.local, conversation=named, max_cost_nanousd=cap)
        return replace(local, idempotency_key=once, allows_background=_allows_background(headers))

    async def needs_no_key(self, scope: Scope, headers: Mapping[str, str]) -> bool:
        """Tell whether a request with these headers needs no key; raises Unavailable where nobody knows."""
        return self._mode == "auto" and is_local(scope, headers) and not await self.keys.has_live()

    async def _lacks_only_its_type(self, scope: Scope, headers: Mapping[str, str]) -> bool:
        """Tell whether a caller would need no key if its body were said to be JSON."""
        return await self.needs_no_key(scope, {**headers, "content-type": _JSON})

    async def _find(self, secrets: Sequence[str]) -> KnownKey | None:
        """Return the first key that one of the secrets opens; raises Unavailable where one cannot be checked."""
        unchecked = None
        for secret in secrets:
            try:
                if (key := await self.keys.find(secret)) is not None:
                    return key
            except Unavailable as error:
                unchecked = error
        if unchecked is not None:
            raise unchecked
        return None


def is_local(scope: Scope, headers: Mapping[str, str]) -> bool:
    """Tell whether a request can only come from a program on this machine."""
    peer = scope.get("client")
    if peer is None or not _is_loopback(peer[0]) or "origin" in headers or _came_through_proxy(scope, headers):
        return False
    if not names_loopback(headers.get("host", "")) or [name for name, _ in scope["headers"]].count(b"host") != 1:
        return False
    has_body = headers.get("content-length", "0") != "0" or "transfer-encoding" in headers
    media_type = headers.get("content-type", "")
    return not has_body or media_type == _JSON or media_type.partition(";")[0].strip().lower() == _JSON


def _came_through_proxy(scope: Scope, headers: Mapping[str, str]) -> bool:
    """Tell whether anything says that a proxy passed a request on; HTTP/1.0 is what a bare nginx speaks."""
    if scope.get("http_version") == "1.0":
        return True
    return _are_of_proxy(tuple(headers))


@lru_cache(maxsize=1024)
def _are_of_proxy(headers: tuple[str, ...]) -> bool:
    """Tell whether a proxy adds one of these headers; a client sends the same ones with each of its requests."""
    names = [header.replace("_", "-") for header in headers]
    return any(name in PROXY_HEADERS or name.startswith(PROXY_PREFIXES) for name in names)


def headers_of(scope: Scope) -> dict[str, str]:
    """The headers by their names in lower case; of one that comes twice the first counts."""
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in reversed(scope["headers"])}


def _secrets(headers: Mapping[str, str]) -> list[str]:
    """What a request may be known by: its bearer, and what clients of Anthropic's API send instead or besides."""
    if "authorization" not in headers and "x-api-key" not in headers:
        return []
    scheme, _, bearer = headers.get("authorization", "").partition(" ")
    given = (bearer if scheme.lower() == "bearer" else "", headers.get("x-api-key", ""))
    return [secret for text in given if (secret := text.strip())]


def host_of(host: str) -> str:
    """The name or address in a Host header, without the port; empty for what is no Host header."""
    found = HOST.fullmatch(host)
    return "" if found is None or int(found["port"] or 0) > MOST_PORT else found["name"] or found["bracketed"]


@lru_cache(maxsize=1024)
def names_loopback(host: str) -> bool:
    """Tell whether a Host header names this machine: `localhost` or a whole loopback address, and a port perhaps."""
    return _is_loopback(host_of(host))


@lru_cache(maxsize=1024)
def _is_loopback(host: str) -> bool:
    if host.lower() == "localhost":
        return True
    try:
        return "%" not in host and ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def caller_of(key: KnownKey, headers: Mapping[str, str]) -> Caller:
    """Return what a key may do, with what its headers assign where it may assign; raises InvalidRequest."""
    segment, country, surface = key.segment, UNKNOWN_COUNTRY, ""
    if KeyScope.ASSIGN in key.scopes:
        segment = headers.get("x-tierwise-segment", segment)
        country = headers.get("x-tierwise-country", country).upper()
        if not SEGMENT_NAME.fullmatch(segment):
            raise InvalidRequest("a segment is 1 to 64 of a-z 0-9 _ -", param="x-tierwise-segment")
        if not COUNTRY_CODE.fullmatch(country):
            raise InvalidRequest("a country is two letters (ISO 3166)", param="x-tierwise-country")
        surface = headers.get("x-tierwise-surface", surface)
        if surface and not SEGMENT_NAME.fullmatch(surface):
            raise InvalidRequest("a surface is 1 to 64 of a-z 0-9 _ -", param="x-tierwise-surface")
    named, cap = headers.get(CONVERSATION_HEADER), _max_cost(headers, key.max_cost_nanousd)
    limits = None if key.limits is NO_LIMITS else key.limits
    once = headers.get(IDEMPOTENCY_HEADER)
    later, models, scopes = _allows_background(headers), key.allowed_models, key.scopes
    return Caller(key.id, segment, country, scopes, key.allowed_tiers, named, surface, cap, models, limits, once, later)


def _allows_background(headers: Mapping[str, str]) -> bool:
    """Read whether an answer that takes long may become a background job; raises InvalidRequest."""
    given = headers.get(ALLOW_BACKGROUND_HEADER)
    if given is None:
        return False
    if (said := given.strip().lower()) not in ("true", "false"):
        raise InvalidRequest("true or false", param=ALLOW_BACKGROUND_HEADER)
    return said == "true"


def _max_cost(headers: Mapping[str, str], of_the_key: int | None = None) -> int | None:
    """Return what one request may cost, in nano-dollars: the least that header and key say. Raises InvalidRequest."""
    given = headers.get(MAX_COST_HEADER)
    if given is None:
        return of_the_key
    try:
        asked = nano_from_usd(given)
    except NotMoney as error:
        raise InvalidRequest(f"an amount of dollars such as 0.002: {error}", param=MAX_COST_HEADER) from None
    if asked <= 0:
        raise InvalidRequest("an amount of dollars above 0", param=MAX_COST_HEADER)
    return asked if of_the_key is None else min(asked, of_the_key)
