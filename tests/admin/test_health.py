"""How things are, as the health page reads it from the books."""

import re
from collections.abc import Iterator
from datetime import UTC
from pathlib import Path
from typing import cast

import pytest
from sqlalchemy import Engine

from classifier.model import DifficultyModel
from router.admin.pages.health import describe_failures
from router.admin.queries import errors, health
from router.errors import Cause
from router.health.breaker import STREAK
from router.ledger.entries import Entry
from router.reports.window import Window
from router.types import CallStatus, Outcome
from tests.admin.visitors import Visitor, plane
from tests.builders.databases import open_books
from tests.builders.dispatchers import FixedModel
from tests.builders.traffics import a_world, store
from tests.ledger.builders import a_closing, a_result, an_id, an_intent, an_opening
from tests.reports.books import book
from tests.waiting import eventually


def a_failed_request(
    cause: Cause | None, status: CallStatus = CallStatus.ERROR, http: int | None = None
) -> list[Entry]:
    id_ = an_id()
    result = a_result(id_, status=status, cause=cause, http_status=http, cost_nanousd=0)
    closing = a_closing(id_, outcome=Outcome.ERROR, answer_call_no=None)
    return [an_opening(id_), an_intent(id_), result, closing]


def read_one(sqlite_url: str, directory: Path, *requests: list[Entry]) -> health.ProviderHealth:
    engine = open_books(sqlite_url)
    book(engine, directory, *requests)
    [model] = health.providers(engine, 0).models
    engine.dispose()
    return model


def test_the_first_failure_counts_and_is_named(sqlite_url: str, tmp_path: Path) -> None:
    model = read_one(sqlite_url, tmp_path, a_failed_request(Cause.RATE_LIMITED, http=429))
    assert (model.failed, model.level, describe_failures(model)) == (1, "bad", "rate limited (HTTP 429) 1")


def test_failures_are_counted_by_model_and_cause_with_requests_to_look_at(engine: Engine, tmp_path: Path) -> None:
    limited = [a_failed_request(Cause.RATE_LIMITED, http=429) for _ in range(7)]
    well: list[Entry] = [an_opening(id_ := an_id()), an_intent(id_), a_result(id_), a_closing(id_)]
    book(engine, tmp_path, *limited, a_failed_request(Cause.UNREACHABLE, CallStatus.NOT_SENT), well)
    often, once = errors.read(engine, Window(None, None, UTC))
    assert (often.cause, often.failed, often.calls, often.statuses) == ("rate_limited", 7, 9, (429,))
    assert len(often.examples) == errors.MOST_EXAMPLES
    assert set(often.examples) <= {request[0].request_id for request in limited}
    assert (once.cause, once.failed) == ("unreachable", 1)


def test_a_provider_that_cannot_be_reached_fails_too(sqlite_url: str, tmp_path: Path) -> None:
    unreachable = [a_failed_request(Cause.UNREACHABLE, CallStatus.NOT_SENT) for _ in range(2)]
    model = read_one(sqlite_url, tmp_path, *unreachable, a_failed_request(None, CallStatus.NOT_SENT))
    assert (model.calls, model.failed, describe_failures(model)) == (3, 2, "unreachable 2")


def test_forecasts_are_judged_by_what_requests_came_to(sqlite_url: str, tmp_path: Path) -> None:
    engine = open_books(sqlite_url)
    ids = [an_id() for _ in range(3)]
    entries: list[list[Entry]] = [
        [
            an_opening(id_, expected_cost_nanousd=300, cost_factor=1.5),
            an_intent(id_),
            a_result(id_, cost_nanousd=200),
            a_closing(id_),
        ]
        for id_ in ids
    ]
    book(engine, tmp_path, *entries)
    found = health.forecasts(engine, 0)
    engine.dispose()
    assert (found.requests, found.bias, found.median_error, found.covered) == (3, 0.5, 0.5, None)


@pytest.fixture(scope="module")
def failing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Visitor]:
    with plane(tmp_path_factory.mktemp("failing")) as found:
        visitor = Visitor(found)
        visitor.enter()
        Visitor(found).chat({"model": "fail-500", "messages": [{"role": "user", "content": "hello"}]})
        eventually(lambda: visitor.json("health")["providers"])
        yield visitor


def test_nothing_needs_a_look_is_never_said_over_a_red_figure(failing: Visitor) -> None:
    page = failing.get("/admin/health").text
    assert re.search(r"badge (?:bad|warning)", page)
    assert "Nothing needs attention" not in page
    assert "1 of 1 calls: unknown (HTTP 500) 1" in page


def test_the_page_as_json_names_the_cause(failing: Visitor) -> None:
    found = failing.json("health")
    assert found["providers"][0]["failures"] == [{"cause": "unknown", "http_status": 500, "calls": 1}]
    assert [alarm["level"] for alarm in found["alarms"] if "fail-500" in alarm["what"]] == ["bad"]


def test_every_model_has_a_row_and_one_that_is_not_asked_an_alarm(tmp_path: Path) -> None:
    with plane(tmp_path) as found:
        visitor, client = Visitor(found), Visitor(found)
        visitor.enter()
        for _ in range(STREAK):
            client.chat({"model": "fail-500", "messages": [{"role": "user", "content": "hello"}]})
        states = {target["model"]: target["breaker"]["state"] for target in visitor.json("health")["targets"]}
        page = visitor.get("/admin/health").text
    assert states["scripted/fail-500"] == "open"
    assert "closed" in states.values()
    assert "scripted/fail-500 is not asked:" in page
    assert "Tried next" in page


class Other(FixedModel):
    version = "test"  # by which traffic is booked


def test_scores_of_another_classifier_are_not_held_against_this_ones_reference(
    sqlite_url: str,
) -> None:
    engine = open_books(sqlite_url)
    store(engine, a_world(300).traffic)
    counts = [health.scores(engine, cast(DifficultyModel, model)).drift.count for model in (Other(), FixedModel())]
    engine.dispose()
    assert counts == [300, 0]
