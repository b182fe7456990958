"""POST /v1/quotes: what a chat request would cost and take in each tier, and where `auto` would go. Calls nothing."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from starlette.types import Receive, Scope, Send

from router.api.aliases import Aliases
from router.api.asgi import answering, send_json
from router.api.auth import Authenticator
from router.api.body import BodyBudget, read_body_of
from router.api.chat.endpoint import request_of
from router.api.chat.request import parse_chat
from router.api.chat.response import encode_body
from router.decision.engine import AUTO, Routed
from router.decision.quotes import QueryQuote, Quoter, Seconds, TierQuote
from router.errors import UnknownModel
from router.keys import Scope as KeyScope
from router.money import usd_text
from router.request import InferenceRequest
from router.settings import ServerSettings
from router.types import Tier

NO_REQUEST = "0" * 32  # nothing is booked under it
LargestCosts = Callable[[InferenceRequest, Routed], Mapping[Tier, int | None]]


class QuoteEndpoint:
    """Answers with a quote. `largest_costs` bounds what each tier would hold of budgets for the request."""

    def __init__(
        self,
        quoter: Quoter,
        largest_costs: LargestCosts,
        authenticator: Authenticator,
        server: ServerSettings,
        aliases: Aliases,
        is_known: Callable[[str], bool],
        bodies: BodyBudget,
    ) -> None:
        self._quoter = quoter
        self._largest_costs = largest_costs
        self._authenticator = authenticator
        self._server = server
        self._aliases = aliases
        self._is_known = is_known
        self._bodies = bodies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with answering(send) as headers:
            await send_json(send, 200, encode_body(await self._quote(scope, receive)), headers)

    async def _quote(self, scope: Scope, receive: Receive) -> dict[str, Any]:
        caller = await self._authenticator.admit(scope)
        caller.require(KeyScope.CHAT)
        with self._bodies.claim(caller.key_id) as claim:
            body = await read_body_of(self._server, scope, receive, claim)
            asked = parse_chat(body, strict=self._server.strict)
            if not self._is_known(self._aliases.resolve(asked.model)):
                raise UnknownModel(f"no model goes by the name {asked.model[:256]!r}", param="model")
            request = request_of(asked, caller, NO_REQUEST, len(body))
            request = msgspec.structs.replace(request, model=AUTO)
            quote = self._quoter.quote(request)
            return quote_body(quote, self._largest_costs(request, quote.routed))


def quote_body(quote: QueryQuote, largest: Mapping[Tier, int | None]) -> dict[str, Any]:
    """Write a quote; what is not known is null."""
    decision = quote.routed.decision
    return {
        "object": "quote",
        "tiers": [tier_body(tier, largest[tier.tier]) for tier in quote.tiers],
        "auto": {"tier": decision.tier, "reason": decision.reason, "score": decision.score, "worth": decision.worth},
    }


def tier_body(tier: TierQuote, largest_nanousd: int | None) -> dict[str, Any]:
    """Write one tier: dollars as exact decimals, seconds with the ends of their 80 %."""
    cost = tier.cost
    return {
        "tier": tier.tier,
        "p_correct": round(tier.p_correct, 4),
        "expected_cost_usd": None if cost is None else usd_text(cost.expected),
        "cost_usd": None if cost is None else {"low": usd_text(cost.low), "high": usd_text(cost.high)},
        "largest_cost_usd": None if largest_nanousd is None else usd_text(largest_nanousd),
        "seconds": seconds_body(tier.seconds),
    }


def seconds_body(seconds: Seconds) -> dict[str, float]:
    """Write a time with the ends of its 80 %."""
    return {name: round(value, 2) for name, value in seconds._asdict().items()}
