"""The Thresholds page: figures of other dials, and from there to a version, a trial and into force."""

import re
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from router.admin.auth.secrets import AdminRole
from router.admin.queries.overview import figures as overview_of
from router.admin.selection import Selection
from router.decision.policy import Policy
from router.policies import canary_lifecycle, lifecycle
from router.policies.lifecycle import Actor
from router.policies.versions import in_force
from router.reports.window import window
from router.tuning import backtest
from router.tuning.predictions import prediction_of
from router.tuning.traffic import FAST
from router.types import Reason
from tests.admin.operators import Operator, signed_in
from tests.api.service import Service, serving, settings_of
from tests.builders.traffics import a_world, store
from tests.waiting import soon

TRAFFIC = a_world(900).traffic


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Service]:
    async with serving(settings_of(tmp_path)) as found:
        store(found.engine, TRAFFIC, (int(time.time()) - 4_000) * 1_000)
        yield found


@pytest.fixture
async def ada(service: Service) -> Operator:
    return await signed_in(service)


async def read(operator: Operator, feed: str = "thresholds/state", body: Any = None) -> Any:
    async def ready() -> Any:
        found = await operator.told(feed, body)
        return found if found["stage"] == "ready" else None

    return await soon(ready)


def dials(**changes: object) -> dict[str, object]:
    return {"parallel_threshold": "0.1", "reasoning_threshold": "0.25", "max_deep_share": "1", **changes}


def form(service: Service, **changes: str) -> dict[str, str]:
    return {"base": str(in_force(service.engine).version), "span": "7d", "note": "margin fell", **changes}


async def saved(ada: Operator, service: Service, **changes: str) -> int:
    to = await ada.done("thresholds/save", **form(service, reasoning_threshold="0.4", **changes))
    return int(re.findall(r"version=(\d+)", to)[0])


async def test_a_page_is_shown_before_anything_is_read_and_scores_come_later(ada: Operator) -> None:
    page = await ada.get("thresholds")
    assert page.status_code == 200
    assert "Reading the requests" in page.text
    found = await read(ada)
    assert found["requests"] == 900
    assert sum(found["scores"]["counts"]) == pytest.approx(900, rel=0.02)


async def test_the_figures_are_those_of_the_back_test(ada: Operator) -> None:
    found = await read(
        ada, "thresholds/preview", {"span": "7d", "segment": "", "dials": dials(reasoning_threshold="0.3")}
    )
    policy = Policy(2, parallel_threshold=0.1, reasoning_threshold=0.3, max_deep_share=1.0, explore=0.0)
    exact = backtest.Backtest(TRAFFIC).figures(backtest.replay(TRAFFIC, policy))
    cost = found["columns"]["proposed"]["cost_usd_per_1k"]
    assert cost["value"] == pytest.approx(exact["cost_usd_per_1k"].value, rel=0.03)
    assert cost["low"] < cost["value"] < cost["high"]
    assert {change["dial"] for change in found["changes"]} == {"reasoning_threshold", "max_deep_share"}
    change = found["difference"]["deep_share"]["value"]
    columns = found["columns"]
    assert change == pytest.approx(
        columns["proposed"]["deep_share"]["value"] - columns["in_force"]["deep_share"]["value"]
    )
    assert columns["always_fast"]["deep_share"]["value"] == 0


async def test_too_few_ratings_are_no_evidence(tmp_path: Path) -> None:
    async with serving(settings_of(tmp_path)) as service:
        store(service.engine, a_world(300, rated=0.1).traffic, (int(time.time()) - 4_000) * 1_000)
        found = await read(await signed_in(service), "thresholds/preview", {"dials": dials()})
    assert found["columns"]["proposed"]["quality"] is None
    assert "at least 100 are needed" in found["columns"]["proposed"]["doubt"]


async def test_a_segment_is_looked_at_alone_with_dials_of_its_own(ada: Operator) -> None:
    own = {"segments.plus.reasoning_threshold": "1.5", "segments.plus.parallel_threshold": "1.5"}
    plus = await read(ada, "thresholds/preview", {"segment": "plus", "dials": own})
    assert plus["columns"]["proposed"]["deep_share"]["value"] == pytest.approx(0)
    free = await read(ada, "thresholds/preview", {"segment": "free", "dials": own})
    assert free["difference"]["deep_share"]["value"] == pytest.approx(0)
    assert "segments.plus.reasoning_threshold" in (await ada.get("thresholds?segment=plus")).text


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"dials": {"reasoning_threshold": "3"}}, "reasoning_threshold"),
        ({"dials": {"reasoning_threshold": "none"}}, "reasoning_threshold"),
        ({"dials": {"speed": "3"}}, "unknown dial"),
        ({"dials": {"reasoning_threshold": "0.2", "parallel_threshold": "x"}}, "not a number"),
        ({"dials": ["no"]}, "dials"),
        ([1], "object"),
        ({"segment": "nobody", "dials": {}}, "no queries"),
    ],
)
async def test_wrong_dials_are_told_by_name(ada: Operator, body: Any, message: str) -> None:
    await read(ada)
    found = await ada.ask("thresholds/preview", body)
    assert found.status_code == 422
    assert message in found.json()["error"]["message"].lower()


async def test_a_back_test_and_a_solution_are_answered(ada: Operator) -> None:
    tested = await ada.told("thresholds/backtest", {"span": "7d", "dials": dials()})
    assert (tested["requests"], set(tested["by_segment"])) == (900, {"free", "plus"})
    # What was asked before costs were forecast stays where it is, whether costs count or not.
    assert tested["priced"] == 0
    assert tested["columns"]["costs_not_counted"]["deep_share"] == tested["columns"]["proposed"]["deep_share"]
    solved_of_all = await ada.told("thresholds/solve", {"span": "7d", "targets": {"max_deep_share": "0.08"}})
    assert solved_of_all["whole"]["deep_share"]["value"] <= 0.08
    decided = {"span": "7d", "of": "decided", "targets": {"max_deep_share": "0.08"}}
    solved = await ada.told("thresholds/solve", decided)
    assert (solved["predicted"]["deep_share"]["value"] <= 0.08, solved["whole"]) == (True, None)
    wrong = await ada.ask("thresholds/solve", decided | {"of": "some"})
    assert (wrong.status_code, "all, decided" in wrong.text) == (422, True)
    own = await ada.told("thresholds/solve", {"segment": "plus", "targets": {"max_deep_share": "0.08"}})
    assert own["requests"] < 900
    assert all(change["dial"].startswith("segments.plus.") for change in own["changes"])
    typed = await ada.told("thresholds/solve", {"span": "7d", "targets": {"max_deep_share": "8 %"}})
    assert (typed["understood"], typed["whole"]) == ("Deep share, at most 8 %", solved_of_all["whole"])
    twice = await ada.ask("thresholds/solve", {"span": "7d", "targets": {"max_deep_share": "8"}})
    assert (twice.status_code, "write 8 % or 0.08" in twice.text) == (422, True)
    none = await ada.ask("thresholds/solve", {"span": "7d", "targets": {}})
    assert (none.status_code, "at least one target" in none.text) == (422, True)


async def test_from_a_version_to_a_trial_into_force_and_back(service: Service, ada: Operator) -> None:
    await read(ada)
    before = in_force(service.engine).version
    version = await saved(ada, service)
    assert "margin fell" in (await ada.get(f"thresholds?version={version}")).text
    kept = prediction_of(service.engine, version)
    assert kept is not None
    assert kept.requests == 900
    await ada.done("thresholds/canary", version=str(version), share="10 %", mode="canary", on_success="wait")
    trial = canary_lifecycle.running(service.engine)
    assert trial is not None
    assert (trial.version, trial.share) == (version, 0.1)
    assert "is on trial" in (await ada.get("thresholds")).text
    assert (await ada.told("thresholds/trial"))["open"]
    early = await ada.post("thresholds/activate", version=str(version), note="it will do")
    assert (early.status_code, "too early to tell" in early.text) == (409, True)
    await ada.done("thresholds/activate", version=str(version), note="it will do", undecided="yes")
    assert in_force(service.engine).reasoning_threshold == 0.4
    await ada.done("thresholds/rollback", version=str(version), note="more regenerates")
    assert in_force(service.engine).version == before
    history = (await ada.get("history")).text
    for act in ("rolled back", "activated", "canary started", "proposed"):
        assert act in history
    assert not (await ada.told("thresholds/trial"))["open"]


async def test_a_trial_can_be_ended(service: Service, ada: Operator) -> None:
    version = await saved(ada, service)
    await ada.done("thresholds/canary", version=str(version), share="0.05", mode="shadow")
    trial = canary_lifecycle.running(service.engine)
    assert trial is not None
    await ada.done("thresholds/stop", canary=str(trial.id))
    assert canary_lifecycle.running(service.engine) is None


async def test_two_who_save_at_once_are_told_and_lose_nothing(service: Service, ada: Operator) -> None:
    bea = await signed_in(service, name="Bea", beside=ada)
    mine = form(service, reasoning_threshold="0.41", note="my <b>reason</b>")
    theirs = await saved(bea, service)
    await bea.done("thresholds/activate", version=str(theirs), note="mine first")
    refused = await ada.post("thresholds/save", **mine)
    assert refused.status_code == 409
    assert f"Somebody put version {theirs} in force" in refused.text
    assert 'value="0.41"' in refused.text
    assert "my &lt;b&gt;reason&lt;/b&gt;" in refused.text


async def test_what_makes_no_sense_changes_nothing(service: Service, ada: Operator) -> None:
    before = lifecycle.history(service.engine)
    for path, fields, message in (
        ("save", form(service, reasoning_threshold="7"), "reasoning_threshold"),
        ("save", form(service), "changes nothing"),
        ("activate", {"version": "99", "note": "so"}, "no policy version 99"),
        ("activate", {"version": "1"}, "Say why"),
        ("rollback", {"version": "1", "note": " "}, "Say why"),
        ("activate", {"version": "../x"}, "whole number"),
        ("canary", {"version": "1", "share": "a few"}, "18 % or 0.18"),
        ("canary", {"version": "1", "share": "5"}, "write 5 % or 0.05"),
        ("rollback", {"version": "1", "note": "so"}, "the first"),
        ("stop", {"canary": "3"}, "nothing to stop"),
    ):
        refused = await ada.post(f"thresholds/{path}", **fields)
        assert refused.status_code == 422, (path, refused.text)
        assert message in refused.text, path
    assert lifecycle.history(service.engine) == before


async def test_a_viewer_looks_and_tries_and_changes_nothing(service: Service) -> None:
    vic = await signed_in(service, AdminRole.VIEWER, "Vic")
    await read(vic, "thresholds/preview", {"dials": dials()})
    page = await vic.get("thresholds")
    assert "disabled>Save as a version" in page.text
    before = lifecycle.history(service.engine)
    for act in ("save", "activate", "rollback", "validate", "canary", "stop"):
        assert (await vic.post(f"thresholds/{act}", **form(service, version="1"))).status_code == 403
    assert lifecycle.history(service.engine) == before


async def test_other_changes_of_a_loaded_version_are_saved_too(service: Service, ada: Operator) -> None:
    changes = {"explore": 0.07, "segments.plus.reasoning_threshold": 0.5}
    made = lifecycle.propose(service.engine, changes, service.settings.tiers, Actor("Bea", "", 5))
    page = (await ada.get(f"thresholds?version={made}")).text
    assert re.search(r'type="hidden" name="segments.plus.reasoning_threshold" value="0.5"', page)
    page = (await ada.get(f"thresholds?version={made}&segment=plus")).text
    assert re.search(r'type="hidden" name="explore" value="0.07"', page)


async def test_predicted_is_held_against_what_came(service: Service, ada: Operator) -> None:
    await read(ada)
    version = await saved(ada, service)
    await ada.done("thresholds/activate", version=str(version), note="try it")
    nothing = await ada.ask(f"history/realised?version={version}")
    assert (nothing.status_code, "no query" in nothing.text) == (422, True)
    lived = replace(TRAFFIC.rows(slice(0, 200)))
    store(service.engine, lived, int(time.time()) * 1_000 + 5_000, version=version)
    found = await ada.told(f"history/realised?version={version}")
    assert (found["requests"], found["predicted_by"]) == (200, "preview")
    assert {one["figure"] for one in found["figures"]} >= {"deep_share", "margin", "quality"}
    assert (await ada.ask("history/realised?version=x")).status_code == 422


async def test_as_it_was_is_what_overview_says_of_the_same_time(service: Service, ada: Operator) -> None:
    explicit = a_world(300, 7).traffic
    explicit = replace(explicit, segments=np.zeros(300, np.int64), segment_names=("explicit only",))
    store(service.engine, explicit, (int(time.time()) - 5_000) * 1_000, Reason.OVERRIDE)
    week = window("7d", None, "UTC", datetime.now(UTC))
    overview = overview_of(service.engine, Selection(week, "7d", {"span": "7d"}, {}))
    found = await read(ada, "thresholds/preview", {"span": "7d", "dials": dials()})
    whole, total = found["whole"], overview.total
    assert (whole["requests"], whole["decided"]) == (total.requests, 900) == (1_200, 900)
    was = whole["as_it_was"]
    assert was["margin"]["value"] == pytest.approx(float(str(overview.margin)), abs=1e-6)
    assert was["cost_usd_per_1k"]["value"] == pytest.approx(total.cost_nanousd / 1e6 / total.requests)
    assert was["revenue_usd_per_1k"]["value"] == pytest.approx(total.expected_nanousd / 1e6 / total.requests)
    assert was["deep_share"]["value"] == pytest.approx(total.deep / total.requests)
    tested = await ada.told("thresholds/backtest", {"span": "7d", "dials": dials()})
    assert tested["whole"]["as_it_was"] == was
    assert tested["whole"]["columns"].keys() >= {"proposed", "in_force"}
    assert "today" not in {*found["columns"], *whole["columns"], *tested["columns"]}


async def test_a_segment_without_a_score_is_shown_as_it_was(service: Service, ada: Operator) -> None:
    explicit = a_world(300, 7).traffic
    explicit = replace(explicit, segments=np.zeros(300, np.int64), segment_names=("explicit only",))
    store(service.engine, explicit, (int(time.time()) - 5_000) * 1_000, Reason.OVERRIDE)
    assert '<option value="explicit only">' in (await ada.get("thresholds")).text
    there = await read(ada, "thresholds/state?segment=explicit+only")
    assert (there["requests"], there["decided"]) == (300, 0)
    found = await ada.told("thresholds/preview", {"segment": "explicit only", "dials": dials()})
    deep = float((explicit.tiers != FAST).mean())
    assert found["whole"]["as_it_was"]["deep_share"]["value"] == pytest.approx(deep)
    assert "columns" not in found


async def test_the_back_test_of_the_page_is_of_the_requests_of_its_preview(ada: Operator) -> None:
    wanted = {"span": "7d", "dials": dials(reasoning_threshold="0.2", max_deep_share="0.1")}
    shown = await read(ada, "thresholds/preview", wanted)
    tested = await ada.told("thresholds/backtest", wanted)
    for of_page, of_test in ((shown, tested), (shown["whole"], tested["whole"])):
        for name, off in (("deep_share", 0.008), ("margin", 0.05)):
            one, other = (found["columns"]["proposed"][name]["value"] for found in (of_page, of_test))
            assert one == pytest.approx(other, abs=off)


async def test_the_page_begins_with_what_happened_to_the_margin(service: Service, ada: Operator) -> None:
    page = (await ada.get("thresholds?span=24h")).text
    assert "There are no requests in the time before" in page
    earlier = replace(TRAFFIC, cost_usd=TRAFFIC.cost_usd / 2)
    store(service.engine, earlier, (int(time.time()) - 4_000 - 24 * 3_600) * 1_000)
    page = (await ada.get("thresholds?span=24h")).text
    assert "The margin fell from" in page
    assert "come from what a request costs" in page
    assert "100.0 % of these requests" in page
    assert re.search(r'id="target-min_margin"[^>]* value="-?[0-9.]+ %"', page)
    assert "The margin fell from" in (await ada.get("thresholds?span=24h&amp;segment=plus")).text
