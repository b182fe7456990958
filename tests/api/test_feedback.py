from typing import Any

import pytest

from router.database.tables import Feedback, RevenueEvent
from router.keys import Scope
from tests.api.service import CHAT, JSON, Service, a_chat

FEEDBACK, EVENTS = "/v1/feedback", "/v1/revenue-events"


def an_event(**changes: Any) -> dict[str, Any]:
    return {"source": "network", "id": "e1", "kind": "click", "amount_usd": "0.0123", **changes}


async def an_answer(keyed: Service) -> str:
    return (await keyed.local.post(CHAT, json=a_chat())).headers["x-request-id"]


@pytest.mark.parametrize("opinion", [{"rating": -1}, {"rating": 0}, {"rating": 1}, {"score": 0.25}, {"score": 1}])
async def test_an_answer_can_be_rated_or_scored(keyed: Service, opinion: dict[str, float]) -> None:
    request_id = await an_answer(keyed)
    response = await keyed.local.post(FEEDBACK, json={"request_id": request_id, "note": "why", **opinion})
    assert response.status_code == 200
    [row] = [row for row in keyed.stored(Feedback) if row.request_id == request_id]
    assert (row.rating, row.score, row.note) == (opinion.get("rating"), opinion.get("score"), "why")


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"rating": None}, "rating"),
        ({"score": 0.5}, "rating"),
        ({"rating": 2}, "rating"),
        ({"rating": True}, "rating"),
        ({"rating": None, "score": 1.5}, "score"),
        ({"request_id": "short"}, "request_id"),
        ({"request_id": "Z" * 32}, "request_id"),
        ({"request_id": 5}, "request_id"),
        ({"note": "x" * 2_001}, "note"),
        ({"note": "a\x00b"}, "note"),
    ],
)
async def test_wrong_feedback_is_refused_by_name(keyed: Service, changes: dict[str, Any], param: str) -> None:
    body = {"request_id": "0" * 32, "rating": 1, **changes}
    response = await keyed.local.post(FEEDBACK, json=body)
    assert (response.status_code, response.json()["error"]["param"]) == (400, param)


@pytest.mark.parametrize(("body", "param"), [(b"[]", "body"), (b"{", "body"), (b"{}", "request_id")])
async def test_what_is_no_feedback_is_refused_by_name(keyed: Service, body: bytes, param: str) -> None:
    response = await keyed.local.post(FEEDBACK, content=body, headers=JSON)
    assert (response.status_code, response.json()["error"]["param"]) == (400, param)


async def test_feedback_on_nothing_is_not_found(keyed: Service) -> None:
    response = await keyed.local.post(FEEDBACK, json={"request_id": "0" * 32, "rating": 1})
    assert (response.status_code, response.json()["error"]["param"]) == (404, "request_id")


async def test_feedback_is_for_ones_own_requests_only(keyed: Service) -> None:
    request_id = await an_answer(keyed)
    response = await keyed.with_key("stranger").post(FEEDBACK, json={"request_id": request_id, "rating": 1})
    assert response.status_code == 403


async def test_an_event_sent_twice_counts_once(keyed: Service) -> None:
    event = an_event(source="twice")
    first = await keyed.local.post(EVENTS, json=event)
    again = await keyed.local.post(EVENTS, json=[event, an_event(source="twice", id="e2")])
    assert (first.json(), again.json()) == ({"received": 1, "new": 1}, {"received": 2, "new": 1})


async def test_an_amount_is_booked_to_the_nano_dollar(keyed: Service) -> None:
    request_id = await an_answer(keyed)
    event = an_event(source="exact", request_id=request_id, segment="plus", country="US", day="2026-03-01")
    await keyed.local.post(EVENTS, json=event)
    [row] = [row for row in keyed.stored(RevenueEvent) if row.source == "exact"]
    assert (row.amount_nanousd, row.request_id, row.day, row.kind) == (12_300_000, request_id, "2026-03-01", "click")


async def test_the_same_event_with_another_amount_changes_nothing_and_is_told(keyed: Service) -> None:
    first, other = (an_event(source="changed", amount_usd=amount) for amount in ("0.01", "0.02"))
    assert (await keyed.local.post(EVENTS, json=first)).json() == {"received": 1, "new": 1}
    again = (await keyed.local.post(EVENTS, json=[first, other])).json()
    named = [{"source": "changed", "id": first["id"]}]
    assert again == {"received": 2, "new": 0, "conflicting": 1, "conflicts": named}
    [kept] = [row for row in keyed.stored(RevenueEvent) if row.source == "changed"]
    assert kept.amount_nanousd == 10_000_000


async def test_a_day_is_stored_in_one_form(keyed: Service) -> None:
    await keyed.local.post(EVENTS, json=an_event(source="days", day="20260301"))
    assert [row.day for row in keyed.stored(RevenueEvent) if row.source == "days"] == ["2026-03-01"]


@pytest.mark.parametrize("kind", ["impression", "click", "conversion", "statement"])
async def test_every_kind_of_the_contract_is_taken(keyed: Service, kind: str) -> None:
    assert (await keyed.local.post(EVENTS, json=an_event(source=kind, kind=kind))).status_code == 200


async def test_a_correction_may_be_negative(keyed: Service) -> None:
    assert (await keyed.local.post(EVENTS, json=an_event(source="back", amount_usd="-0.5"))).json()["new"] == 1


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"amount_usd": 0.0123}, "amount_usd"),
        ({"amount_usd": "much"}, "amount_usd"),
        ({"amount_usd": "NaN"}, "amount_usd"),
        ({"amount_usd": "1e999999"}, "amount_usd"),
        ({"amount_usd": "9" * 5_000}, "amount_usd"),
        ({"amount_usd": None}, "amount_usd"),
        ({"kind": "gift"}, "kind"),
        ({"source": ""}, "source"),
        ({"source": "a\x00"}, "source"),
        ({"id": 5}, "id"),
        ({"request_id": "x"}, "request_id"),
        ({"day": "yesterday"}, "day"),
        ({"country": "usa"}, "country"),
        ({"country": "US\n"}, "country"),
        ({"segment": "Free Users"}, "segment"),
    ],
)
async def test_a_wrong_event_is_refused_by_name(keyed: Service, changes: dict[str, Any], param: str) -> None:
    alone = await keyed.local.post(EVENTS, json=an_event(**changes))
    listed = await keyed.local.post(EVENTS, json=[an_event(source="good"), an_event(**changes)])
    assert (alone.status_code, alone.json()["error"]["param"]) == (400, param)
    assert (listed.status_code, listed.json()["error"]["param"]) == (400, f"[1].{param}")


async def test_a_list_with_a_wrong_event_books_nothing(keyed: Service) -> None:
    await keyed.local.post(EVENTS, json=[an_event(source="unlucky"), an_event(kind="gift")])
    assert "unlucky" not in {row.source for row in keyed.stored(RevenueEvent)}


@pytest.mark.parametrize(
    ("body", "param"), [(b"7", "body"), (b"[7]", "[0]"), (b"{}", "source"), (b"[{}]", "[0].source")]
)
async def test_what_is_no_event_is_refused_by_name(keyed: Service, body: bytes, param: str) -> None:
    response = await keyed.local.post(EVENTS, content=body, headers=JSON)
    assert (response.status_code, response.json()["error"]["param"]) == (400, param)


async def test_an_empty_list_is_received(keyed: Service) -> None:
    assert (await keyed.local.post(EVENTS, json=[])).json() == {"received": 0, "new": 0}


async def test_revenue_events_need_their_scope(keyed: Service) -> None:
    assert (await keyed.with_key("net", Scope.REVENUE).post(EVENTS, json=an_event(source="k"))).status_code == 200
