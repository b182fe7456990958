"""The same question has one answer: on every page, in its JSON and its files, from commands and in the export."""

import csv
import io
import json
import random
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import msgspec
import pytest
from sqlalchemy import func, select
from typer.testing import CliRunner

from router import keys
from router.admin.page import NotDone
from router.admin.queries import overview
from router.admin.selection import Selection
from router.cli import app
from router.database.engine import open_engine
from router.database.tables import Request
from router.ledger import rollups
from router.ledger.entries import CallIntent, Entry
from router.reports.window import window
from router.types import DAY_US, HOUR_US, Outcome, Reason, Tier
from tests.admin.visitors import Visitor, plane
from tests.builders.databases import lay_out
from tests.reports.books import a_booked_request, book
from tests.waiting import eventually

ZONES = ("Australia/Lord_Howe", "Asia/Kathmandu")  # half an hour of summer time, and a quarter of an hour beside UTC
MODELS = ("openai/cheap", "openai/dear")
SPREAD, DAYS = 480, 120  # each in a quarter of its own, and what a fixture takes is the rolling up of quarters
LATE_US = 90 * 1_000_000  # a call may begin on the day after its request came in


@dataclass(frozen=True, slots=True)
class Question:
    """A window as commands and as pages are asked for it, and filters of both."""

    options: Mapping[str, str]
    address: Mapping[str, str]
    filters: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return " ".join(f"{name}={value}" for name, value in {**self.options, **self.filters}.items()) or "everything"


@dataclass(frozen=True, slots=True)
class Answer:
    """What was counted, and what it cost in nano-dollars; None where a place does not tell."""

    requests: int
    cost_nanousd: int | None = None

    def beside(self, other: "Answer") -> "Answer":
        """This answer, with the other's cost where it tells none."""
        return self if self.cost_nanousd is not None else Answer(self.requests, other.cost_nanousd)


@dataclass(frozen=True, slots=True)
class Desk:
    """Somebody at the pages and at the terminal, over the same books."""

    visitor: Visitor
    directory: Path
    key_ids: Mapping[str, int]

    def type(self, zone: str, *arguments: str) -> str:
        env = {
            "TIERWISE_DATABASE_URL": f"sqlite:///{self.directory}/books.db",
            "TIERWISE_STATE_DIR": str(self.directory),
        }
        ran = CliRunner().invoke(app, list(arguments), env=env | {"TIERWISE_REPORTS__ZONE": zone})
        assert ran.exit_code == 0, ran.output
        return ran.stdout

    def page(self, name: str, query: Mapping[str, str]) -> str:
        found = self.visitor.get(f"/admin/{name}?{urlencode(query)}")
        assert found.status_code == 200, found.text
        return found.text


def moments() -> list[int]:
    """Instants of the last months: anywhere, and on both sides of every midnight and of late hours in each zone."""
    now, draw = datetime.now(UTC), random.Random(7)
    now_us = int(now.timestamp()) * 1_000_000
    found = [now_us - draw.randrange(DAYS * DAY_US) for _ in range(SPREAD)]
    for name in ZONES:
        zone = ZoneInfo(name)
        today = now.astimezone(zone).date()
        for day in {*(today - timedelta(days=back) for back in (0, 5, 6, 7, 29, 30, 89, 90)), *around_changes(zone)}:
            midnight = int(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp()) * 1_000_000
            found += [midnight + at for at in (-DAY_US, -1_000, 0, HOUR_US, 3 * HOUR_US) if midnight + at < now_us]
    hour = now_us // HOUR_US * HOUR_US
    found += [hour - back * HOUR_US + at for back in range(20, 27) for at in (-1_000, 0, HOUR_US // 4, HOUR_US // 2)]
    return sorted(found)


def around_changes(zone: ZoneInfo) -> list[date]:
    """The last day on which the clocks changed within a year, or a month ago where they never do."""
    today = datetime.now(zone).date()
    for back in range(1, 366):
        day = today - timedelta(days=back)
        if offset_at(day, zone) != offset_at(day + timedelta(days=1), zone):
            return [day, day + timedelta(days=1)]
    return [today - timedelta(days=30)]


def offset_at(day: date, zone: ZoneInfo) -> timedelta | None:
    return datetime(day.year, day.month, day.day, tzinfo=zone).utcoffset()


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    directory = tmp_path_factory.mktemp("window")
    url = f"sqlite:///{directory}/books.db"
    lay_out(url)
    engine = open_engine(url)
    for name in ("app", "web"):
        given: Any = {"segment": "default", "scopes": keys.NEW_KEY_SCOPES, "allowed_tiers": list(Tier), "now_us": 1}
        keys.create(engine, name, **given)
    key_ids = {str(row["name"]): int(str(row["id"])) for row in keys.list_keys(engine)}
    wanted = [a_request(place, at_us, list(key_ids.values())) for place, at_us in enumerate(moments())]
    late = wanted[::10]
    book(engine, directory / "made", *(request for place, request in enumerate(wanted) if place % 10))
    rollups.catch_up(engine, int(datetime.now(UTC).timestamp()) * 1_000_000)
    book(engine, directory / "late", *late)  # read from their lines, while the others are rolled up
    with engine.connect() as connection:
        assert connection.scalar(select(func.count()).select_from(Request)) == len(wanted)
    engine.dispose()
    with plane(directory) as running:
        visitor = Visitor(running)
        visitor.enter()
        yield Desk(visitor, directory, key_ids)


def a_request(place: int, at_us: int, key_ids: list[int]) -> list[Entry]:
    entries = a_booked_request(
        at_us=at_us,
        tier=(Tier.FAST, Tier.FAST, Tier.REASONING)[place % 3],
        costs=[1_000 + place] if place % 4 else [500 + place, 2_000],
        models=[MODELS[place % 2]] if place % 4 else list(MODELS),
        segment=("default", "plus")[place % 5 == 0],
        country=("US", "IN", "ZZ")[place % 3],
        key_id=key_ids[place % 2],
        reason=(Reason.BELOW_THRESHOLD, Reason.OVERRIDE)[place % 7 == 0],
    )
    late = [msgspec.structs.replace(e, started_at=at_us + LATE_US) if isinstance(e, CallIntent) else e for e in entries]
    return [msgspec.structs.replace(e, outcome=Outcome.OK) if hasattr(e, "outcome") else e for e in late]


def questions(zone: str) -> list[Question]:
    """Twenty: spans, days around a change of clocks, an hour that is none of UTC, and filters."""
    change = around_changes(ZoneInfo(zone))[0]
    day, after = change.isoformat(), (change + timedelta(days=1)).isoformat()
    early, late = (change - timedelta(days=3)).isoformat(), (change + timedelta(days=4)).isoformat()
    spans = {name: Question({"since": name}, {"span": name}) for name in ("24h", "7d", "30d", "90d", "all")}
    of_day = Question({"since": day, "until": after}, {"from": day, "to": day})
    return [
        *spans.values(),
        of_day,
        Question({"since": after, "until": late}, {"from": after, "to": (change + timedelta(days=3)).isoformat()}),
        Question({"since": early, "until": late}, {"from": early, "to": (change + timedelta(days=3)).isoformat()}),
        Question(*({a: f"{day}T00:30", b: f"{day}T03:30"} for a, b in (("since", "until"), ("from", "to")))),
        Question({"since": early}, {"from": early}),
        Question({"until": day}, {"to": (change - timedelta(days=1)).isoformat()}),
        *(
            Question(of.options, of.address, {name: value})
            for of, name, value in (
                (spans["7d"], "segment", "plus"),
                (spans["30d"], "segment", "plus"),
                (spans["all"], "country", "IN"),
                (spans["90d"], "country", "ZZ"),
                (spans["30d"], "model", "openai/dear"),
                (of_day, "model", "openai/cheap"),
                (spans["90d"], "key", "app"),
                (of_day, "key", "web"),
            )
        ),
        Question(spans["90d"].options, spans["90d"].address, {"segment": "plus", "country": "US"}),
    ]


@pytest.mark.parametrize(("zone", "count"), [(ZONES[0], 20), (ZONES[1], 7)])  # whose clocks never change: the spans
def test_every_page_command_and_export_gives_one_answer(desk: Desk, zone: str, count: int) -> None:
    asked = questions(zone)[:count]
    assert len(asked) == count
    assert desk.visitor.post("/admin/zone", {"zone": zone, "next": "/admin/audit"}).status_code == 303
    for question in asked:
        found = within_an_hour(desk, zone, question)
        first = found["report"]
        told = {place: answer.beside(first) for place, answer in found.items()}
        assert told == dict.fromkeys(told, first), str(question)


def within_an_hour(desk: Desk, zone: str, question: Question) -> dict[str, Answer]:
    """Ask everybody; once more where an hour ended meanwhile, for then it was not the same question."""
    begun = datetime.now(UTC)
    found = answers(desk, zone, question)
    quarter = 900  # hours of all zones end with a quarter
    if begun.timestamp() // quarter == datetime.now(UTC).timestamp() // quarter:
        return found
    return answers(desk, zone, question)


def answers(desk: Desk, zone: str, question: Question) -> dict[str, Answer]:
    found = dict(of_commands(desk, zone, question)) | dict(of_pages(desk, question))
    if not question.filters and question.address.get("span") in ("24h", "7d", "30d", "90d"):
        found["thresholds"] = of_thresholds(desk, question.address["span"])
    if not question.filters and question.address.get("span") == "7d":
        found["revenue"] = Answer(
            desk.visitor.json("revenue")["requests"], desk.visitor.json("revenue")["cost_nanousd"]
        )
        by_segment = desk.page("keys", {}).partition('id="segments"')[2]
        found["keys"] = Answer(sum(map(counted, re.findall(r'data-name="Requests, 7 days">([\d,]+)<', by_segment))))
    return found


def of_commands(desk: Desk, zone: str, question: Question) -> Iterator[tuple[str, Answer]]:
    options = [part for name, value in question.options.items() for part in (f"--{name}", value)]
    where = [
        part
        for name, value in question.filters.items()
        for part in ("--where", f"{name}={desk.key_ids[value] if name == 'key' else value}")
    ]
    told = json.loads(desk.type(zone, "report", "--by", "day", "--format", "json", *options, *where))
    yield "report", Answer(told["totals"]["requests"], nano(told["totals"]["cost_usd"]))
    yield "report by day", of_rows(told["rows"])
    if question.filters:
        return
    if "until" not in question.options:
        rows = csv.DictReader(io.StringIO(desk.type(zone, "report", "--format", "csv", *options)))
        yield "report as CSV", of_rows(rows)
        html = desk.type(zone, "report", "--format", "html", *options)
        tile = re.search(r"<dt>Requests</dt><dd>([\d,]+)</dd>", html)
        assert tile is not None
        yield "page", Answer(counted(tile[1]))
    export = json.loads(desk.type(zone, "ledger", "export", "--format", "json", *options))
    requests = {row["request_id"] for row in export}
    yield "export", Answer(len(requests), sum(row["cost_nanousd"] for row in export))


def of_pages(desk: Desk, question: Question) -> Iterator[tuple[str, Answer]]:
    query = {**question.address, **question.filters}
    shown = re.search(r"<dt>Requests</dt><dd>([\d,]+)</dd>", desk.page("overview", query))
    yield "overview", Answer(counted(shown[1]) if shown else 0)
    told = desk.visitor.json(f"overview?{urlencode(query)}")
    yield "overview's JSON", Answer(sum(told["requests"]))
    yield "overview's CSV", of_rows(csv.DictReader(io.StringIO(desk.page("overview.csv", query))))
    rows = list(csv.DictReader(io.StringIO(desk.page("decisions.csv", query))))
    # By model a request stands where it was answered, with the cost of that model's calls; here it has all of its cost.
    cost = None if "model" in question.filters else sum(int(row["cost_nanousd"]) for row in rows)
    yield "decisions' CSV", Answer(len(rows), cost)


def of_thresholds(desk: Desk, span: str) -> Answer:
    def state() -> Any:
        found = desk.visitor.json(f"thresholds/state?span={span}")
        return found if found["stage"] == "ready" else None

    found = eventually(state)
    return Answer(found["requests"])


def of_rows(rows: Any) -> Answer:
    found = list(rows)
    return Answer(sum(int(row["requests"]) for row in found), sum(nano(row["cost_usd"]) for row in found))


def nano(usd: str | None) -> int:
    return int(Decimal(usd or 0) * 10**9)


def counted(text: str) -> int:
    return int(text.replace(",", ""))


def test_a_bar_leads_to_the_requests_that_it_counts(desk: Desk) -> None:
    for zone in ZONES:
        desk.visitor.post("/admin/zone", {"zone": zone, "next": "/admin/audit"})
        for query in ("span=7d", "span=24h&segment=plus", "from=2026-01-01T05:10&to=2026-01-03T05:10"):
            found = desk.visitor.json(f"overview?{query}")
            assert len(found["links"]) == len(found["times"])
            for link, requests in zip(found["links"], found["requests"], strict=True):
                saved = csv.DictReader(io.StringIO(desk.visitor.get(f"/admin/decisions.csv?{link}").text))
                assert len(list(saved)) == requests, link


def test_filters_over_many_requests_tell_what_rollups_know_and_say_what_they_do_not(desk: Desk) -> None:
    chosen = window("90d", None, "Asia/Kathmandu", datetime.now(UTC))
    engine = open_engine(f"sqlite:///{desk.directory}/books.db")
    plus = Selection(chosen, "90d", {"span": "90d"}, {"segment": "plus"})
    read, unread = overview.figures(engine, plus), overview.figures(engine, plus, most_read=10)
    assert (read.total.facts, read.errors) == (unread.total.facts, 0)
    assert (unread.errors, unread.reasons) == (None, None)
    both = replace(plus, filters={"segment": "plus", "country": "US"})
    with pytest.raises(NotDone, match="fewer days or one filter"):
        overview.figures(engine, both, most_read=10)
    engine.dispose()
