"""Alerts as signed webhooks.

`webhook-id` is the alert's id and stays the same however often it is sent: receivers tell doubles by it.
"""

import http.client
import ipaddress
import urllib.error
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import msgspec

from router.notifications.alerts import Alert
from router.notifications.deliveries import NotDelivered
from router.notifications.signatures import key_of, sign_headers

TIMEOUT_S = 10.0
EVENT = "alert.raised"


class WebhookChannel:
    """One address that is told by POST; `now_s` is the time of sending, in seconds since the epoch."""

    def __init__(self, url: str, secret: str, now_s: Callable[[], int], *, trust_env: bool = True) -> None:
        require_safe(url)
        self._url = url
        self._key = key_of(secret)
        self._now_s = now_s
        proxies = (
            urllib.request.ProxyHandler() if trust_env and not is_loopback(url) else urllib.request.ProxyHandler({})
        )
        self._opener = urllib.request.build_opener(proxies, _NoRedirects())

    def send(self, alert: Alert) -> None:
        """Post the alert; raises NotDelivered unless the answer is a 2xx."""
        body, timestamp = payload(alert), self._now_s()
        headers = sign_headers([self._key], alert.id, timestamp, body)
        request = urllib.request.Request(self._url, body, dict(headers), method="POST")
        try:
            with self._opener.open(request, timeout=TIMEOUT_S) as reply:
                status = reply.status
        except urllib.error.HTTPError as error:
            error.close()
            status = error.code
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise NotDelivered(_reason(error)) from None
        if not 200 <= status < 300:
            raise NotDelivered(f"HTTP {status}")


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A redirect is no delivery: what was signed for one address is not for another."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        """Follow nothing."""


def payload(alert: Alert) -> bytes:
    """Write the body: the same bytes for every attempt."""
    raised = datetime.fromtimestamp(alert.raised_at_us // 1_000_000, UTC).isoformat().replace("+00:00", "Z")
    told = {
        "id": alert.id,
        "rule": alert.rule,
        "subject": alert.subject,
        "period": alert.period,
        "level": alert.level,
        "title": alert.title,
        "says": alert.says,
        "figures": dict(alert.figures),
    }
    return msgspec.json.encode({"type": EVENT, "timestamp": raised, "data": told}, order="deterministic")


def require_safe(url: str) -> None:
    """Raise ValueError unless an address is https, or http on this very machine, and carries no user."""
    parts = urlsplit(url)
    if not parts.hostname or parts.username is not None or parts.password is not None:
        raise ValueError("a webhook's url is https://HOST/PATH, without a user")
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(url)):
        raise ValueError("a webhook's url is https, or http on this machine (127.0.0.1, [::1], localhost)")


def is_loopback(url: str) -> bool:
    """Tell whether an address names this very machine."""
    name = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"


def _reason(error: Exception) -> str:
    """Say why an address could not be reached, without the address."""
    inner = error.reason if isinstance(error, urllib.error.URLError) else error
    return str(getattr(inner, "strerror", None) or inner or type(inner).__name__)[:200]
