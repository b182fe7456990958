"""Rollups never change what reports say: whatever arrives, however late, and however often they are refreshed."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC
from pathlib import Path
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, func, insert, select

from router.database import schema
from router.database.engine import writing
from router.database.tables import Adjustment, Call, Request, RevenueEvent, Rollup, RollupMark, Run
from router.ledger import lines, rollups
from router.ledger.attribution import RevenueAttribution, spread
from router.ledger.cells import GROUPINGS, Grain, grouping_for, pieces
from router.ledger.rows import CallRow, RequestRow
from router.ledger.store import insert_new, labels
from router.reports.dimensions import DIMENSIONS
from router.reports.queries import Filters, Report, costs, sum_by
from router.reports.reading import reading
from router.reports.window import Window
from tests.builders.databases import open_books

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
SPRING_MS = 1_774_655_100_000  # 2026-03-27 23:45 UTC: two days later clocks change in Europe
LONG_AFTER_US = (SPRING_MS + 30 * DAY_MS) * 1_000
ZONES = ("UTC", "Asia/Kolkata", "Asia/Kathmandu", "Europe/Lisbon", "America/St_Johns")


class Books:
    """Books that lines are put into directly, in any order."""

    def __init__(self, engine: Engine, seed: int) -> None:
        self.engine = engine
        self.dice = Random(seed)
        self.ids: list[str] = []
        self.labels: dict[str, int] = {}
        self.events = 0
        with writing(engine) as connection:
            texts = ("default", "plus", "US", "IN", "auto", "v1", "open", "openai/a", "openai/b", "gemini/c")
            self.labels = labels(connection, texts)
            connection.execute(insert(Run).values(id=1, kind="rerate", created_at=0, author="a", note=""))

    def arrive(self, ms: int, calls: int = 2) -> str:
        """A request that came in at a moment, with its calls."""
        dice = self.dice
        id_ = f"{ms:012x}7{dice.getrandbits(76):019x}"
        key = self._key(id_)
        request = RequestRow(
            id=key,
            opened_at=ms * 1_000,
            closed_at=ms * 1_000,
            recorded_at=ms * 1_000,
            expected_revenue_nanousd=dice.choice([None, 0, 1_450_001]),
            score=0.1,
            p_fast=0.5,
            p_reasoning=0.5,
            propensity=1.0,
            key_id=dice.choice([None, 1, 2]),
            policy_version=dice.choice([1, 2]),
            revenue_version=1,
            first_byte_ms=1,
            total_ms=1,
            first_tier=1,
            final_tier=dice.choice([1, 2, 3]),
            reason=dice.choice([1, 2, 12]),
            outcome=dice.choice([1, 3]),
            answer_call_no=dice.choice([None, 0, calls - 1]) if calls else None,
            turn=dice.randint(1, 4),
            segment_id=self.labels[dice.choice(["default", "plus"])],
            country_id=self.labels[dice.choice(["US", "IN"])],
            requested_model_id=self.labels["auto"],
            classifier_id=self.labels["v1"],
            answer_type_id=self.labels["open"],
            language_id=None,
            streamed=False,
            ads_eligible=dice.random() < 0.7,
            synthetic=False,
        )
        made = [self._call(id_, number) for number in range(calls)]
        with writing(self.engine) as connection:
            insert_new(connection, [request])
            insert_new(connection, made)
        self.ids.append(id_)
        return id_

    def call(self, id_: str, number: int) -> None:
        """A call of a request that comes late."""
        with writing(self.engine) as connection:
            insert_new(connection, [self._call(id_, number)])

    def _call(self, id_: str, number: int) -> CallRow:
        dice = self.dice
        return CallRow(
            request_id=self._key(id_),
            started_at=0,
            recorded_at=0,
            cost_nanousd=dice.choice([None, 0, 3, 12_345_678_901]),
            hold_nanousd=None,
            price_id=None,
            input_fresh=dice.choice([None, 100]),
            input_cached=5,
            input_cache_write=0,
            output_visible=7,
            output_reasoning=dice.choice([0, 2_000]),
            first_token_ms=None,
            duration_ms=None,
            call_no=number,
            kind=dice.randint(1, 4),
            tier=1,
            status=dice.randint(1, 5),
            precision=dice.randint(1, 3),
            provider_model_id=self.labels[dice.choice(["openai/a", "openai/b", "gemini/c"])],
            service_id=None,
        )

    def adjust(self, id_: str | None, amount: int, ms: int = SPRING_MS) -> None:
        """A correction of a line, or of a model's day."""
        values = {
            "run_id": 1,
            "kind": "reversal" if id_ else "reconciled",
            "request_id": id_,
            "call_no": self.dice.choice([0, 1, 9]) if id_ else None,
            "provider_model": "openai/a",
            "amount_nanousd": amount,
            "effective_at": ms * 1_000,
        }
        with writing(self.engine) as connection:
            connection.execute(insert(Adjustment).values(**values))

    def earn(self, amount: int, **values: Any) -> None:
        """Booked revenue, of a request or of a day."""
        self.events += 1
        event = {"source": "n", "event_id": str(self.events), "kind": "statement", "received_at": SPRING_MS * 1_000}
        with writing(self.engine) as connection:
            connection.execute(insert(RevenueEvent).values(**event, amount_nanousd=amount, **values))

    def sums(self) -> tuple[int, ...]:
        """Add up over the lines themselves."""
        queries = (
            select(func.count()).select_from(Request),
            select(func.count()).select_from(Call),
            select(func.sum(Call.cost_nanousd)),
            select(func.sum(Adjustment.amount_nanousd)),
            select(func.sum(Request.expected_revenue_nanousd)),
            select(func.sum(RevenueEvent.amount_nanousd)),
        )
        with self.engine.connect() as connection:
            requests, calls, cost, corrected, expected, booked = (int(connection.scalar(q) or 0) for q in queries)
        return requests, calls, cost + corrected, expected, booked

    def _key(self, id_: str) -> str | bytes:
        return bytes.fromhex(id_) if self.engine.dialect.name == "sqlite" else id_


def told(report: Report) -> tuple[int, ...]:
    total = report.totals()
    return total.requests, total.calls, total.cost_nanousd, total.expected_nanousd, total.booked_nanousd


def without_rollups(engine: Engine, by: Sequence[str], window: Window, where: Filters | None = None) -> Report:
    """The same question, answered from the lines alone."""
    with reading(engine, window) as books:
        books.dirty = {quarter for day in books.days for quarter in range(day * 96, day * 96 + 96)}
        return sum_by(books, by, where or {})


def same(one: Report, other: Report) -> None:
    assert {k: (s.facts, s.largest) for k, s in one.rows.items()} == {
        k: (s.facts, s.largest) for k, s in other.rows.items()
    }


@contextmanager
def new_books(seed: int) -> Iterator[Books]:
    with tempfile.TemporaryDirectory() as directory:
        engine = open_books(f"sqlite:///{directory}/books.db")
        yield Books(engine, seed)
        engine.dispose()


MOMENTS = st.integers(0, 3 * DAY_MS).map(lambda ms: SPRING_MS + ms)
STEPS = st.one_of(
    st.tuples(st.just("arrive"), MOMENTS),
    st.tuples(st.just("late call"), st.integers(2, 5)),
    st.tuples(st.just("adjust"), st.sampled_from([-12_345_678_901, 7])),
    st.tuples(st.just("reconcile"), MOMENTS),
    st.tuples(st.just("earn"), st.sampled_from([5, -3, 1_000_000])),
    st.tuples(st.just("statement"), st.sampled_from([1, -100, 999_999_999])),
    st.tuples(st.just("refresh"), st.integers(1, 96)),
)


def step(books: Books, what: str, value: int) -> None:
    some = books.dice.choice(books.ids) if books.ids else f"{SPRING_MS:012x}7{5:019x}"
    day = books.dice.choice(["2026-03-28", "2026-03-29", "1999-01-01", None])
    match what:
        case "arrive":
            books.arrive(value, books.dice.randint(0, 3))
        case "late call":
            books.call(some, value)
        case "adjust":
            books.adjust(some, value)
        case "reconcile":
            books.adjust(None, 77, value)
        case "earn":
            books.earn(value, request_id=some)
        case "statement":
            books.earn(value, day=day, segment=books.dice.choice([None, "plus", "nobody"]))
        case "refresh":
            rollups.refresh(books.engine, books.dice.choice([(SPRING_MS + DAY_MS) * 1_000, LONG_AFTER_US]), value)


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(STEPS, min_size=3, max_size=25), st.integers(0, 2**32))
def test_reports_equal_the_lines_whatever_happens_and_however_often_it_is_refreshed(
    steps: list[tuple[str, int]], seed: int
) -> None:
    with new_books(seed) as books:
        for what, value in steps:
            step(books, what, value)
        truth = books.sums()
        for _ in range(2):
            zone = ZoneInfo(books.dice.choice(ZONES))
            for by in (["tier"], ["model"], ["segment"], ["country", "policy"], ["day"], ["hour", "role"], ["key"]):
                found = costs(books.engine, by, Window(None, None, zone))
                assert told(found) == truth, by
                same(found, without_rollups(books.engine, by, Window(None, None, zone)))
            rollups.catch_up(books.engine, LONG_AFTER_US)


@pytest.fixture
def books(engine: Engine) -> Books:
    made = Books(engine, 1)
    for _ in range(30):
        made.arrive(SPRING_MS + made.dice.randrange(3 * DAY_MS), made.dice.randint(0, 4))
    made.earn(1_000_003, day="2026-03-28")
    made.earn(55, day="2026-03-28", segment="plus", country="US")
    rollups.catch_up(engine, LONG_AFTER_US)
    return made


def test_the_sum_of_days_is_the_range_in_every_zone(books: Books) -> None:
    for zone in ZONES:
        window = Window((SPRING_MS + HOUR_MS) * 1_000, (SPRING_MS + 60 * HOUR_MS) * 1_000 + 1, ZoneInfo(zone))
        whole = costs(books.engine, ["tier"], window)
        by_day = costs(books.engine, ["day"], window)
        assert told(by_day) == told(whole), zone
        same(by_day, without_rollups(books.engine, ["day"], window))
        assert len(by_day.rows) >= 3


def test_every_dimension_and_pair_says_the_same_with_and_without_rollups(books: Books) -> None:
    window = Window(None, None, ZoneInfo("Asia/Kolkata"))
    for name in DIMENSIONS:
        for by in ([name], [name, "tier"]):
            if len(set(by)) == len(by):
                same(costs(books.engine, by, window), without_rollups(books.engine, by, window))


def test_filters_take_what_they_name(books: Books) -> None:
    window = Window(None, None, UTC)
    parts = [costs(books.engine, ["tier"], window, {"segment": {name}}) for name in ("default", "plus")]
    assert sum(part.totals().requests for part in parts) == 30
    found = costs(books.engine, ["country"], window, {"segment": {"plus"}, "turn": {"1", "2"}})
    same(found, without_rollups(books.engine, ["country"], window, {"segment": {"plus"}, "turn": {"1", "2"}}))


def test_a_refresh_repeated_changes_nothing_and_leaves_no_mark(books: Books) -> None:
    query = select(Rollup.__table__)
    with books.engine.connect() as connection:
        before = sorted(map(tuple, connection.execute(query)))
        assert connection.scalar(select(func.count()).select_from(RollupMark)) == 0
    first = next(iter(books.ids))
    books.adjust(first, 0)
    assert rollups.refresh(books.engine, LONG_AFTER_US) >= 1
    with books.engine.connect() as connection:
        after = sorted(map(tuple, connection.execute(query)))
    assert [row[:5] for row in before] == [row[:5] for row in after]


def test_a_quarter_under_way_is_read_from_its_lines(engine: Engine) -> None:
    made = Books(engine, 3)
    made.arrive(SPRING_MS + 300_000)
    assert rollups.refresh(engine, (SPRING_MS + 360_000) * 1_000) == 0
    assert told(costs(engine, ["tier"], Window(None, None, UTC))) == made.sums()
    assert rollups.refresh(engine, LONG_AFTER_US) == 1


def test_costs_fall_in_the_same_buckets_with_and_without_rollups(books: Books) -> None:
    window = Window(None, None, UTC)
    with reading(books.engine, window) as one:
        rolled = one.costs()
    with reading(books.engine, window) as other:
        other.dirty = {quarter for day in other.days for quarter in range(day * 96, day * 96 + 96)}
        assert other.costs() == rolled
    assert sum(sum(buckets.values()) for buckets in rolled.values()) > 0


def test_only_one_process_refreshes_at_a_time_on_postgresql(postgresql_engine: Engine) -> None:
    made = Books(postgresql_engine, 4)
    made.arrive(SPRING_MS)
    with writing(postgresql_engine) as connection:
        assert rollups._is_alone(connection)
        assert rollups.refresh(postgresql_engine, LONG_AFTER_US) == 0
    assert rollups.refresh(postgresql_engine, LONG_AFTER_US) >= 1


@given(st.integers(0, 5_000), st.integers(0, 5_000))
def test_pieces_cover_a_stretch_once_and_are_aligned(start: int, length: int) -> None:
    found = pieces(start, start + length)
    covered = [quarter for piece in found for quarter in range(piece.start, piece.end)]
    assert covered == list(range(start, start + length))
    assert all(p.start % p.grain.quarters == 0 == p.end % p.grain.quarters for p in found)
    assert len(found) <= 5


@given(st.integers(-(10**15), 10**15), st.lists(st.integers(0, 10**7), min_size=1, max_size=50))
def test_a_spread_amount_adds_up_and_no_share_is_a_nano_dollar_off(amount: int, weights: list[int]) -> None:
    shares = spread(amount, np.array(weights)).tolist()
    if sum(weights) == 0:
        assert shares == []
        return
    assert sum(shares) == amount
    for share, weight in zip(shares, weights, strict=True):
        assert abs(share * sum(weights) - amount * weight) < sum(weights)


def test_a_statement_goes_to_matching_requests_by_what_they_were_expected_to_earn(engine: Engine) -> None:
    made = Books(engine, 5)
    for _ in range(30):
        made.arrive(SPRING_MS + HOUR_MS, 0)
    made.earn(1_000, day="2026-03-28", segment="plus")
    found = costs(engine, ["segment"], Window(None, None, UTC))
    assert {key: sums.booked_nanousd for key, sums in found.rows.items()} == {("default",): 0, ("plus",): 1_000}


def test_a_statement_nothing_matches_stays_visible(engine: Engine) -> None:
    made = Books(engine, 6)
    made.arrive(SPRING_MS)
    made.earn(1_000, day="2031-01-01", segment="plus")
    found = costs(engine, ["day", "segment"], Window(None, None, UTC))
    assert found.rows["2031-01-01", "plus"].booked_nanousd == 1_000


def test_groupings_are_never_renumbered() -> None:
    assert GROUPINGS[0] == ()
    assert GROUPINGS[14] == ("tier", "segment")
    assert GROUPINGS[25] == ("tier", "role")
    assert GROUPINGS[27] == ("model", "cause")
    assert grouping_for(["segment"]) == 5
    assert grouping_for(["language", "turn"]) is None
    assert [int(grain) for grain in Grain] == [0, 1, 2]


def test_a_page_boundary_splits_no_request(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "PAGE_REQUESTS", 7)
    with books.engine.connect() as connection:
        pages = list(lines.read(connection, 0, SPRING_MS * 2, RevenueAttribution()))
    assert len(pages) > 4
    assert sum(int(page.is_request.sum()) for page in pages) == 30
    assert sum(len(page.unit) for page in pages) == books.sums()[1]


def test_the_migration_marks_what_is_there(sqlite_url: str, tmp_path: Path) -> None:
    engine = schema.ready_engine(sqlite_url)
    made = Books(engine, 7)
    made.arrive(SPRING_MS)
    made.earn(9, day="2026-03-28")
    made.adjust(None, 4)
    schema.migrate(engine, "0001")
    schema.migrate(engine)
    assert told(costs(engine, ["tier"], Window(None, None, UTC))) == made.sums()
    rollups.catch_up(engine, LONG_AFTER_US)
    assert told(costs(engine, ["tier"], Window(None, None, UTC))) == made.sums()
    engine.dispose()


def test_days_with_statements_are_rolled_up_once_each(engine: Engine) -> None:
    made = Books(engine, 9)
    midnight = SPRING_MS - SPRING_MS % DAY_MS + DAY_MS
    for place in range(400):  # every few minutes over four days; some granules lie on both sides of midnight
        made.arrive(midnight + place * 4 * DAY_MS // 400, 1)
    made.arrive(midnight + DAY_MS - 1, 1)
    made.arrive(midnight + DAY_MS, 1)
    for day in (28, 29, 30, 31):
        made.earn(1_000, day=f"2026-03-{day}")
    assert rollups.catch_up(engine, LONG_AFTER_US) <= 4 * 96 + 4
    with engine.connect() as connection:
        assert rollups.read_marks(connection) == []
    assert costs(engine, ["day"], Window(None, None, UTC)).totals().booked_nanousd == 4_000
