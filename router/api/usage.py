"""GET /v1/usage: what the caller's own key has used and spent, by UTC day and in all."""

from collections.abc import Callable
from datetime import UTC, datetime
from urllib.parse import parse_qsl

from starlette.types import Receive, Scope, Send

from router.api.asgi import answering, send_json
from router.api.auth import Authenticator
from router.api.chat.response import encode_body
from router.database.engine import off_loop
from router.errors import Forbidden, InvalidRequest
from router.reports.usage import ReadUsage, usage_figures
from router.reports.window import WrongWindow, window
from router.types import DAY_US

USUAL_SINCE = "30d"
MOST_DAYS = 400
PARAMETERS = ("since", "until")


class UsageEndpoint:
    """Answers keys about themselves; `read` waits for the database."""

    def __init__(self, read: ReadUsage, authenticator: Authenticator, now_us: Callable[[], int]) -> None:
        self._read = read
        self._authenticator = authenticator
        self._now_us = now_us

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with answering(send) as headers:
            caller = await self._authenticator.admit(scope)
            if (key_id := caller.key_id) is None:
                raise Forbidden("usage is that of a key, and this request came without one")
            asked = dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True))
            if unknown := asked.keys() - set(PARAMETERS):
                raise InvalidRequest(f"unknown parameter: {min(unknown)[:64]}", param=min(unknown)[:64])
            now_us = self._now_us()
            now = datetime.fromtimestamp(now_us // 1_000_000, UTC)
            try:
                of = window(asked.get("since", USUAL_SINCE), asked.get("until"), "UTC", now)
            except WrongWindow as error:
                raise InvalidRequest(str(error), param="since") from None
            begin, end = of.since_us or 0, now_us if of.until_us is None else of.until_us
            if end - begin > MOST_DAYS * DAY_US:
                raise InvalidRequest(f"usage is told of {MOST_DAYS} days at most", param="since")
            report = await off_loop(lambda: self._read(key_id, of))
            body = {
                "object": "usage",
                "since": _instant(begin),
                "until": _instant(end),
                "days": [{"day": day, **usage_figures(sums)} for (day,), sums in report.rows_in_order()],
                "totals": usage_figures(report.totals()),
            }
            await send_json(send, 200, encode_body(body), headers)


def _instant(at_us: int) -> str:
    return datetime.fromtimestamp(at_us // 1_000_000, UTC).isoformat().replace("+00:00", "Z")
