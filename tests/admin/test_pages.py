"""Every page with nothing in the books and with something, and what its forms change."""

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from router.admin.assets import ASSETS
from router.database.engine import open_engine
from tests.admin.visitors import PAGES, Plane, Visitor, plane
from tests.builders.databases import open_books
from tests.reports.books import a_booked_request, book
from tests.waiting import eventually

FEEDS = ("overview", "agreement", "ladder", "decisions", "prices", "revenue", "keys/budgets", "health", "audit")
CHAT = {"model": "fast", "messages": [{"role": "user", "content": "the cat sat on the mat, most secretly"}]}


@pytest.fixture(scope="module")
def asked(running: Plane, admin: Visitor) -> str:
    """One request that was answered and booked; its id."""
    request_id: str = Visitor(running).chat(CHAT).headers["x-request-id"]
    eventually(lambda: admin.json(f"decisions?id={request_id}")["requests"])
    return request_id


@pytest.mark.parametrize("path", PAGES)
def test_pages_read_well_with_empty_books(path: str, empty: Visitor) -> None:
    reply = empty.get(f"/admin/{path}")
    assert reply.status_code == 200
    assert "nan" not in reply.text.lower().replace("nano", "").replace("finance", "")


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Visitor]:
    with plane(tmp_path_factory.mktemp("empty")) as found:
        visitor = Visitor(found)
        visitor.enter()
        yield visitor


@pytest.mark.parametrize("feed", FEEDS)
def test_feeds_answer_with_empty_books(empty: Visitor, feed: str) -> None:
    assert empty.get(f"/admin/api/{feed}").status_code == 200


@pytest.mark.parametrize("span", ["24h", "7d", "30d", "90d", "all", "nonsense"])
def test_the_overview_takes_any_span(admin: Visitor, asked: str, span: str) -> None:
    assert admin.get(f"/admin/overview?span={span}").status_code == 200
    assert sum(admin.json(f"overview?span={span}")["requests"]) >= 1


def test_a_request_shows_with_its_reason_its_calls_and_what_others_cost(admin: Visitor, asked: str) -> None:
    found = admin.json(f"decisions?id={asked}")
    request = found["requests"][0]
    assert (request["reason"], request["final_tier"], len(request["calls"])) == ("override", "fast", 1)
    assert request["cost_nanousd"] == request["calls"][0]["cost_nanousd"]
    assert set(found["mean_cost_nanousd"]) == {"fast", "parallel", "reasoning"}
    assert found["mean_cost_nanousd"]["reasoning"] is None
    assert asked in admin.get(f"/admin/decisions?id={asked}").text


def test_no_page_shows_what_was_asked(admin: Visitor, asked: str) -> None:
    for page in PAGES:
        assert "secretly" not in admin.get(f"/admin/{page}").text
    assert "secretly" not in admin.get(f"/admin/decisions?id={asked}").text


def test_decisions_are_filtered(admin: Visitor, asked: str) -> None:
    assert [r["id"] for r in admin.json("decisions?tier=fast&reason=override&outcome=ok")["requests"]][-1] == asked
    assert admin.json("decisions?tier=reasoning")["requests"] == []
    assert admin.json("decisions?segment=nobody")["requests"] == []
    assert admin.json("decisions?to=2020-01-01T00:00")["requests"] == []
    assert "the beginning to 1 Jan 2020 00:00, UTC" in admin.get("/admin/decisions?to=2020-01-01T00:00").text
    assert admin.json("decisions?country=XX")["requests"] == admin.json("decisions?model=none/such")["requests"] == []


@pytest.mark.parametrize("query", ["id=xyz", "before=1", "tier=magic", "to=soon", "from=9999999999", "key=nobody"])
def test_a_filter_that_makes_no_sense_is_told(admin: Visitor, query: str) -> None:
    assert admin.get(f"/admin/api/decisions?{query}").status_code == 422
    page = admin.get(f"/admin/decisions?{query}")
    assert (page.status_code, 'role="alert"' in page.text) == (200, True)


@pytest.mark.parametrize("query", ["to=soon", "from=2026-03-02&to=2026-02-20", "key=nobody", "model=" + "x" * 300])
def test_a_wrong_date_or_filter_of_the_overview_is_told_and_the_usual_is_shown(admin: Visitor, query: str) -> None:
    assert admin.get(f"/admin/api/overview?{query}").status_code == 422
    assert admin.get(f"/admin/overview.csv?{query}").status_code in (400, 422)
    page = admin.get(f"/admin/overview?{query}")
    assert (page.status_code, 'role="alert"' in page.text) == (200, True)


def test_pages_are_saved_as_csv_with_the_window_and_nothing_that_a_table_program_runs(
    admin: Visitor, viewer: Visitor, stranger: Visitor, asked: str
) -> None:
    saved = viewer.get("/admin/decisions.csv?span=7d&tier=fast")
    assert saved.headers["content-type"] == "text/csv; charset=utf-8"
    assert saved.headers["content-disposition"] == 'attachment; filename="tierwise-decisions.csv"'
    rows = list(csv.DictReader(io.StringIO(saved.text)))
    assert asked in {row["id"] for row in rows}
    assert {(row["zone"], row["final_tier"]) for row in rows} == {("UTC", "fast")}
    steps = list(csv.DictReader(io.StringIO(admin.get("/admin/overview.csv?span=24h").text)))
    assert sum(int(row["requests"]) for row in steps) == sum(admin.json("overview?span=24h")["requests"])
    assert stranger.get("/admin/decisions.csv").status_code == 303


def test_filters_and_time_are_carried_from_page_to_page(admin: Visitor, asked: str) -> None:
    page = admin.get("/admin/overview?span=24h&segment=default").text
    assert "/admin/decisions?span=24h&amp;segment=default&amp;reason=override" in page
    assert "/admin/decisions?span=24h&amp;segment=default&amp;tier=fast" in page
    assert 'href="?span=7d&amp;segment=default"' in page
    link = admin.json("overview?span=24h&segment=default")["links"][-1]
    assert asked in {request["id"] for request in admin.json(f"decisions?{link}&reason=override")["requests"]}


def test_a_key_is_shown_once_works_and_is_written_down_without_its_secret(admin: Visitor) -> None:
    fields = {"name": "once", "segment": "plus", "scope_chat": "1", "tier_fast": "1", "tier_parallel": "1"}
    made = admin.post("/admin/keys/create", fields)
    secret = made.text.partition('id="secret-once">')[2].partition("<")[0]
    assert secret.startswith("tw-")
    assert secret not in admin.get("/admin/keys").text
    entry = admin.audit(about="once")[0]
    assert (entry["act"], entry["actor"], entry["before"]) == ("key created", "Ann", None)
    assert entry["after"]["allowed_tiers"] == ["fast", "parallel"]
    assert secret not in json.dumps(admin.audit())


def test_a_key_is_made_with_limits_and_rotated_with_both_secrets_named(admin: Visitor) -> None:
    fields = {"name": "bounded", "scope_chat": "1", "tier_fast": "1", "expires": "90d", "requests_per_minute": "7"}
    admin.post("/admin/keys/create", fields | {"user_usd_per_day": "0.5"})
    page = admin.get("/admin/keys").text
    assert "requests per minute=7 user usd per day=0.500000000" in page
    assert "models: none" in page
    rotated = admin.post("/admin/keys/rotate", {"name": "bounded", "overlap": "24h"})
    secret = rotated.text.partition('id="secret-once">')[2].partition("<")[0]
    assert secret.startswith("tw-")
    assert "old secret until" in admin.get("/admin/keys").text
    assert secret not in json.dumps(admin.audit())
    refused = admin.post("/admin/keys/create", fields | {"name": "odd", "max_n": "lots"})
    assert (refused.status_code, "is no number" in refused.text) == (422, True)


def test_a_revoked_key_stays_in_the_list(admin: Visitor) -> None:
    admin.post("/admin/keys/create", {"name": "goes", "scope_chat": "1", "tier_fast": "1"})
    assert admin.post("/admin/keys/revoke", {"name": "goes"}).headers["location"] == "/admin/keys"
    assert "The key goes is revoked" in admin.get("/admin/keys").text
    again = admin.post("/admin/keys/revoke", {"name": "goes"})
    assert (again.status_code, "no valid key" in again.text) == (422, True)
    assert admin.audit(about="goes")[0]["after"] == {"revoked": True}


def test_a_budget_is_set_changed_and_taken_away_with_before_and_after(admin: Visitor) -> None:
    place = {"scope": "tier", "subject": "reasoning", "period": "day"}
    for limit in ("2", "3.5"):
        assert admin.post("/admin/keys/budget", {**place, "limit_usd": limit, "note": "why"}).status_code == 303
    curve = admin.json("keys/budgets")["budgets"][0]
    assert (curve["limit_usd"], curve["left_usd"][0]) == (3.5, 3.5)
    assert admin.post("/admin/keys/drop-budget", place).status_code == 303
    gone, changed, made = admin.audit(about="day tier reasoning")
    assert (made["before"], made["after"]) == (None, {"limit_nanousd": 2_000_000_000})
    assert (changed["before"], changed["after"]) == ({"limit_nanousd": 2 * 10**9}, {"limit_nanousd": 3_500_000_000})
    assert (gone["before"], gone["after"]) == ({"limit_nanousd": 3_500_000_000}, None)
    assert admin.post("/admin/keys/drop-budget", place).status_code == 409


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"limit_usd": "-1"}, "no less than 0"),
        ({"limit_usd": "much"}, "not an amount"),
        ({"limit_usd": ""}, "not an amount"),
        ({"scope": "key", "subject": "nobody"}, "no key named"),
        ({"scope": "tier", "subject": "magic"}, "no tier"),
        ({"scope": "segment", "subject": ""}, "name the key"),
        ({"scope": "total", "subject": "x"}, "name the key"),
        ({"period": "year"}, "each hour"),
    ],
)
def test_a_wrong_budget_is_told_and_keeps_what_was_typed(admin: Visitor, wrong: dict[str, str], says: str) -> None:
    fields = {"scope": "total", "subject": "", "period": "day", "limit_usd": "1", "note": "typed by hand"} | wrong
    reply = admin.post("/admin/keys/budget", fields)
    assert reply.status_code in (400, 422)
    assert says in reply.text.lower()
    assert "typed by hand" in reply.text


def test_a_price_is_put_into_effect_and_the_one_before_stays(admin: Visitor) -> None:
    for dollars in ("1.5", "2"):
        fields = {"model": "other/model", "input": dollars, "output": "4", "thinking": "5", "note": "their page"}
        assert admin.post("/admin/prices/put", fields).status_code == 303
    found = admin.json("prices")
    current = next(price for price in found["current"] if price["model"] == "other/model")
    assert (current["input"], current["thinking"], current["source"]) == ("2.00", "5.00", "operator")
    assert [price["input"] for price in found["past"] if price["model"] == "other/model"] == ["1.50"]
    assert admin.audit(about="other/model")[0]["before"]["rates"][0]["input"] == 1_500_000


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"model": "nameless"}, "PROVIDER/MODEL"),
        ({"input": ""}, "at least input and output"),
        ({"input": "-1"}, "no less than 0"),
        ({"output": "lots"}, "not an amount"),
        ({"note": ""}, "where the price comes from"),
    ],
)
def test_a_wrong_price_is_told_and_changes_nothing(admin: Visitor, wrong: dict[str, str], says: str) -> None:
    reply = admin.post("/admin/prices/put", {"model": "bad/one", "input": "1", "output": "1", "note": "x"} | wrong)
    assert (reply.status_code, says.lower() in reply.text.lower()) == (422, True)
    assert all(price["model"] != "bad/one" for price in admin.json("prices")["current"])


def test_a_price_of_the_file_is_changed_in_the_file(tmp_path: Path) -> None:
    with plane(tmp_path, prices={"a/b": {"input": "1", "output": "2"}}) as found:
        visitor = Visitor(found)
        visitor.enter()
        reply = visitor.post("/admin/prices/put", {"model": "a/b", "input": "1", "output": "1", "note": "x"})
        assert (reply.status_code, "change it there" in reply.text) == (422, True)


ASSUMPTION = {
    "segment": "plus",
    "ecpm_usd": "30",
    "ads_per_query": "0.05",
    "publisher_share": "0.8",
    "flat_usd": "0.001",
    "commercial": "2",
    "note": "a better contract",
}


def test_assumptions_are_saved_as_a_version_with_before_and_after(admin: Visitor) -> None:
    assert admin.post("/admin/revenue/save", ASSUMPTION).status_code == 303
    entry = admin.audit(about="better contract")[0]
    assert entry["after"]["plus"]["ecpm_nanousd"] == 30_000_000_000
    assert "a better contract" in admin.get("/admin/revenue").text


def test_who_saves_over_a_version_they_have_not_seen_is_told(admin: Visitor) -> None:
    assert admin.post("/admin/revenue/save", ASSUMPTION).status_code == 303
    reply = admin.post("/admin/revenue/save", {**ASSUMPTION, "version": "1", "note": "stale words"})
    assert (reply.status_code, "saved meanwhile" in reply.text, "stale words" in reply.text) == (409, True, True)


@pytest.mark.parametrize("wrong", [{"ecpm_usd": "x"}, {"publisher_share": "1.2"}, {"note": ""}, {"segment": "A B"}])
def test_wrong_assumptions_are_told(admin: Visitor, wrong: dict[str, str]) -> None:
    assert admin.post("/admin/revenue/save", ASSUMPTION | wrong).status_code == 422


def test_script_in_a_note_or_a_name_is_shown_as_text(running: Plane, admin: Visitor) -> None:
    script = "<script>alert(1)</script>"
    visitor = Visitor(running, "10.8.0.1")
    visitor.enter(name=f"Eve {script}")
    visitor.post("/admin/revenue/save", {**ASSUMPTION, "note": f"because {script}"})
    for page in ("revenue", "audit", "overview"):
        found = visitor.get(f"/admin/{page}").text
        assert script not in found
        assert "&lt;script&gt;" in found


def test_times_are_in_the_zone_the_browser_asks_for(admin: Visitor, running: Plane) -> None:
    visitor = Visitor(running, "10.8.0.2")
    visitor.enter()
    assert visitor.post("/admin/zone", {"zone": "Asia/Kolkata", "next": "/admin/audit"}).status_code == 303
    assert 'value="Asia/Kolkata"' in visitor.get("/admin/audit").text
    wrong = visitor.post("/admin/zone", {"zone": "Mars/Olympus", "next": "/admin/audit"})
    assert wrong.headers["location"] == "/admin/audit"
    assert "Unknown time zone" in visitor.get("/admin/audit").text


def test_pages_begin_with_the_configured_zone(tmp_path: Path) -> None:
    with plane(tmp_path, reports={"zone": "Asia/Kathmandu"}) as found:
        visitor = Visitor(found)
        visitor.enter()
        for page in ("overview", "thresholds", "revenue", "keys", "health", "ladder"):
            assert ", Asia/Kathmandu" in visitor.get(f"/admin/{page}").text, page


def test_files_come_from_a_closed_list_are_packed_and_kept_for_good(stranger: Visitor) -> None:
    for name in sorted(ASSETS.names):
        reply = stranger.get(ASSETS.url(name), accept_encoding="gzip")
        assert reply.status_code == 200
        assert "immutable" in reply.headers["cache-control"]
    assert stranger.get("/admin/static/old/admin.css").headers["cache-control"] == "no-cache"


def test_a_database_that_cannot_answer_is_told_on_a_page_and_in_json(tmp_path: Path) -> None:
    with plane(tmp_path) as found:
        visitor = Visitor(found)
        visitor.enter()
        engine = open_engine(f"sqlite:///{tmp_path}/books.db")
        with engine.begin() as connection:
            connection.execute(text("DROP TABLE rollups"))
        engine.dispose()
        page, feed = visitor.get("/admin/overview"), visitor.get("/admin/api/overview")
    assert (page.status_code, "database is away" in page.text) == (503, True)
    assert (feed.status_code, "database is away" in feed.json()["error"]["message"]) == (503, True)


def test_everything_reads_well_on_postgresql(postgresql_engine: Engine, tmp_path: Path) -> None:
    with plane(tmp_path, database_url=postgresql_engine.url.render_as_string(hide_password=False)) as found:
        visitor = Visitor(found)
        visitor.enter()
        request_id: str = visitor.chat(CHAT).headers["x-request-id"]
        eventually(lambda: visitor.json(f"decisions?id={request_id}")["requests"])
        visitor.post("/admin/keys/budget", {"scope": "total", "period": "month", "limit_usd": "9"})
        filtered = ("decisions?tier=fast&segment=default", "audit?refused=1&about=50%25")
        statuses = {path: visitor.get(f"/admin/{path}").status_code for path in (*PAGES, *filtered)}
        statuses |= {f"api/{feed}": visitor.get(f"/admin/api/{feed}").status_code for feed in FEEDS}
        curve = visitor.json("keys/budgets")["budgets"][0]
    assert {path: status for path, status in statuses.items() if status != 200} == {}
    assert curve["left_usd"][-1] < 9


def test_made_up_requests_are_told_on_every_page_and_counted_where_a_browser_wants_it(tmp_path: Path) -> None:
    engine = open_books(f"sqlite:///{tmp_path}/books.db")
    book(engine, tmp_path / "before", *(a_booked_request(synthetic=made_up) for made_up in (True, True, False)))
    engine.dispose()
    with plane(tmp_path) as found:
        visitor = Visitor(found)
        visitor.enter()
        for page in PAGES:
            assert "2 of 3 requests are made up, and left out" in visitor.get(f"/admin/{page}").text
        assert sum(visitor.json("overview?span=all")["requests"]) == 1
        chosen = visitor.post("/admin/made-up", {"made_up": "with", "next": "/admin/overview?span=all"})
        assert chosen.headers["location"] == "/admin/overview?span=all"
        assert sum(visitor.json("overview?span=all")["requests"]) == 3
        assert "Leave them out" in visitor.get("/admin/overview").text
        visitor.post("/admin/made-up", {"made_up": "", "next": "https://elsewhere.example"})
        assert sum(visitor.json("overview?span=all")["requests"]) == 1


def test_a_statement_is_pasted_whole_or_not_at_all(admin: Visitor, viewer: Visitor) -> None:
    fields = {"source": "adnet", "statement": "day,amount_usd\r\n2026-10-01,1.5\r\n2026-10-02,2,5\r\n"}
    refused = admin.post("/admin/revenue/import", fields)
    assert (refused.status_code, "line 3: 3 cells under 2 columns" in refused.text) == (400, True)
    assert "2026-10-01,1.5" in refused.text
    fields["statement"] = fields["statement"].replace("2,5", "2.5")
    assert viewer.post("/admin/revenue/import", fields).status_code == 403
    assert admin.post("/admin/revenue/import", fields).headers["location"] == "/admin/revenue"
    assert "2 lines are booked, $4.000000000 of adnet" in admin.get("/admin/revenue").text
    entry = admin.audit(about="adnet")[0]
    assert (entry["act"], entry["after"]["lines"]) == ("statement imported", 2)
