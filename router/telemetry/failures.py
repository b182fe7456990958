"""Why calls fail: every one is counted, every kind of them is said once. No prompt and no secret is."""

import logging
from collections.abc import Callable
from urllib.parse import urlsplit

from router.clock import Clock
from router.errors import Cause, ProviderError
from router.providers.base import ProviderRequest
from router.providers.echoes import cut_echoes, texts_of
from router.providers.openai.backends import address_of

log = logging.getLogger(__name__)

QUIET_S = 600.0  # a kind of failure that was not seen for so long is said again
MOST_KINDS = 1_000


class _Seen:
    """How often a kind of failure came since it was last said."""

    __slots__ = ("last_ms", "unsaid")

    def __init__(self) -> None:
        self.last_ms = -1e18
        self.unsaid = 0


class FailureLog:
    """Counts every failed call, and says each kind of failure once: again when it comes back after a quiet time.

    A kind is a model, a status, a cause and an address. Each worker says it for itself.
    """

    def __init__(self, count: Callable[[str, str, str], None], clock: Clock, quiet_s: float = QUIET_S) -> None:
        self._count = count
        self._clock = clock
        self._quiet_ms = quiet_s * 1_000
        self._kinds: dict[tuple[str, int | None, Cause, str], _Seen] = {}

    def note(self, request: ProviderRequest, error: ProviderError) -> None:
        """Take a failed call."""
        target = request.target
        self._count(target.provider, target.name, error.cause)
        address = address_text(request)
        kind = (target.name, error.provider_status, error.cause, address)
        if kind not in self._kinds and len(self._kinds) >= MOST_KINDS:
            return
        seen, now_ms = self._kinds.setdefault(kind, _Seen()), self._clock.ticks_ms()
        was_quiet, seen.last_ms = now_ms - seen.last_ms >= self._quiet_ms, now_ms
        if not was_quiet:
            seen.unsaid += 1
            return
        again = f" (again: {seen.unsaid:,} more since it was last said)" if seen.unsaid else ""
        seen.unsaid = 0
        words = cut_echoes(
            error.message.removeprefix(f"{target.name}: "),
            texts_of(request.messages, request.params),
            (target.name, error.cause),
        )
        status = error.provider_status
        log.warning(
            "provider %s, model %s: %s, %s, at %s: %s%s",
            target.provider,
            target.name,
            error.cause,
            f"HTTP {status}" if status is not None else "no status",
            address,
            words,
            again,
            extra={
                "fields": {
                    "provider": target.provider,
                    "model": target.name,
                    "status": status,
                    "cause": error.cause,
                    "address": address,
                    "words": words,
                }
            },
        )


def address_text(request: ProviderRequest) -> str:
    """Write where a model is called, without what may be secret: no user, no query."""
    try:
        parts = urlsplit(address_of(request.target))
        port = f":{parts.port}" if parts.port else ""
    except (ProviderError, ValueError):
        return "its usual address"
    name = parts.hostname or ""
    return f"{parts.scheme}://{f'[{name}]' if ':' in name else name}{port}{parts.path}"
