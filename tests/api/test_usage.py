"""A key is told what it used itself, and nothing of the others."""

from typing import Any

import httpx

from router.ledger.cells import ADDED_FACTS
from router.reports.queries import Sums
from router.reports.usage import usage_figures
from tests.api.service import CHAT, Service, a_chat

USAGE = "/v1/usage"


async def told(service: Service, client: httpx.AsyncClient, requests: int) -> dict[str, Any]:
    """Ask until so many requests are in the books."""
    found: dict[str, Any] = {}

    async def is_told() -> bool:
        found.update((await client.get(USAGE)).json())
        return bool(found["totals"]["requests"] == requests)

    await service.until(is_told)
    return found


async def test_a_key_sees_its_own_requests_tokens_and_deep_share(keyed: Service) -> None:
    async with keyed.with_key("mine") as mine, keyed.with_key("theirs") as theirs:
        for model in ("fast", "reasoning"):
            assert (await mine.post(CHAT, json=a_chat(model))).status_code == 200
        await theirs.post(CHAT, json=a_chat("fast"))
        usage = await told(keyed, mine, 2)
        other = await told(keyed, theirs, 1)
    totals, [day] = usage["totals"], usage["days"]
    assert {name: value for name, value in day.items() if name != "day"} == totals
    assert (totals["calls"], totals["deep_share"]) == (2, "0.500000")
    assert totals["input_tokens"] > 0
    assert totals["output_tokens"] > 0
    assert other["totals"]["deep_share"] == "0.000000"


def test_what_has_no_price_costs_an_unknown_amount_and_never_nothing() -> None:
    facts = {**dict.fromkeys(ADDED_FACTS, 0), "requests": 1, "calls": 1}
    figures = usage_figures(Sums(list(facts.values())))
    assert (figures["cost_usd"], figures["unpriced"]) == (None, 1)


async def test_a_key_that_asked_nothing_used_nothing(keyed: Service) -> None:
    async with keyed.with_key("idle") as client:
        usage = (await client.get(USAGE, params={"since": "2026-01-01", "until": "2026-01-03"})).json()
    assert (usage["days"], usage["totals"]["requests"]) == ([], 0)
    assert (usage["since"], usage["until"]) == ("2026-01-01T00:00:00Z", "2026-01-03T00:00:00Z")


async def test_who_has_no_key_has_no_usage(service: Service) -> None:
    assert (await service.local.get(USAGE)).status_code == 403


async def test_what_cannot_be_asked_is_named(keyed: Service) -> None:
    async with keyed.with_key("asks") as client:
        for query, param in (("since=yesterday", "since"), ("key=2", "key"), ("since=2000-01-01", "since")):
            refused = await client.get(f"{USAGE}?{query}")
            assert (refused.status_code, refused.json()["error"]["param"]) == (400, param)
