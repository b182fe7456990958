"""A service that duels every answer and keeps every row: nothing of it reaches the client, and no text the books."""

import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest_asyncio
from sqlalchemy import select

from classifier import artifact
from classifier.rows import ROW_FORMAT, unpack
from router.database.learning_tables import Duel, DuelDay, FeatureRow
from tests.api.service import CHAT, Service, serving, settings_of

SUM = [{"role": "user", "content": "My quokka likes mangosteen. What is 17 + 25?"}]
AGREEING = {
    "fast": {"model": "scripted/solver"},
    "reasoning": {"model": "scripted/solver-think-60ms"},
    "parallel": {"models": ["scripted/solver"]},
}
LEARNING = {"policy": {"explore": 0, "shadow": 1}, "learning": {"keep_share": 1}, "tiers": AGREEING}


@pytest_asyncio.fixture(loop_scope="session")
async def learning(tmp_path: Path) -> AsyncIterator[Service]:
    async with serving(settings_of(tmp_path, **LEARNING)) as running:
        yield running


def rows(service: Service, table: Any) -> list[Any]:
    with service.engine.connect() as connection:
        return list(connection.execute(select(table.__table__)))


def holding(directory: Path, *words: bytes) -> list[Path]:
    """The files that hold one of these words, in lower or upper case."""
    files = [path for path in directory.rglob("*") if path.is_file()]
    return [path for path in files if any(word in path.read_bytes().lower() for word in words)]


async def ask(service: Service, **changes: Any) -> tuple[str, dict[str, Any]]:
    reply = await service.local.post(CHAT, json={"model": "auto", "messages": SUM, **changes})
    assert reply.status_code == 200, reply.text
    return reply.headers["x-request-id"], reply.json() if not changes.get("stream") else {"text": reply.text}


async def test_a_whole_answer_is_duelled_and_the_client_is_not_charged(learning: Service) -> None:
    request_id, body = await ask(learning)
    [duel] = await learning.until(lambda: rows(learning, Duel))
    assert (duel.request_id, duel.agreement, duel.answered_tier, duel.other_tier) == (
        request_id, "same", "fast", "reasoning",
    )  # fmt: skip
    assert body["x_tierwise"]["calls"] == 1
    lines = await learning.calls(request_id)
    assert [line["kind"] for line in lines] == ["answer", "shadow"]
    assert body["usage"]["completion_tokens"] == lines[0]["output_visible"] + lines[0]["output_reasoning"]


async def test_streams_and_responses_are_duelled_too(learning: Service) -> None:
    streamed, _ = await ask(learning, stream=True)
    reply = await learning.local.post("/v1/responses", json={"model": "auto", "input": SUM[0]["content"]})
    assert reply.status_code == 200, reply.text
    found = await learning.until(lambda: (seen := rows(learning, Duel)) and len(seen) == 2 and seen)
    assert {duel.agreement for duel in found} == {"same"}
    assert {duel.request_id for duel in found} == {streamed, reply.headers["x-request-id"]}


async def test_overrides_are_neither_duelled_nor_kept(learning: Service) -> None:
    await ask(learning, model="fast")
    request_id, _ = await ask(learning)
    await learning.until(lambda: rows(learning, Duel))
    assert [duel.request_id for duel in rows(learning, Duel)] == [request_id]
    assert [row.request_id for row in rows(learning, FeatureRow)] == [request_id]


async def test_a_row_is_enough_to_judge_the_request_again(learning: Service) -> None:
    request_id, body = await ask(learning)
    [row] = await learning.until(lambda: rows(learning, FeatureRow))
    judged = artifact.load().judge(unpack(bytes(row.row)))
    assert (row.request_id, row.format) == (request_id, ROW_FORMAT)
    assert round(judged.p_fast, 4) == body["x_tierwise"]["p_fast"]


async def test_no_text_is_in_any_table_nor_in_the_spool(tmp_path: Path) -> None:
    async with serving(settings_of(tmp_path, **LEARNING)) as service:
        await ask(service)
        await ask(service, stream=True)
        await service.until(lambda: len(rows(service, Duel)) == 2)
        assert holding(tmp_path, b"feature_rows")
        assert holding(tmp_path, b"quokka", b"mangosteen") == []
    assert holding(tmp_path, b"quokka", b"mangosteen") == []


async def test_a_rival_that_fails_touches_nobody(tmp_path: Path) -> None:
    tiers = {**AGREEING, "reasoning": {"model": "scripted/fail-500"}}
    async with serving(settings_of(tmp_path, **{**LEARNING, "tiers": tiers})) as service:
        request_id, body = await ask(service)
        assert body["choices"][0]["message"]["content"]
        [shadow] = await service.until(lambda: _shadows(service))
        assert (shadow["request_id"], shadow["status"]) == (request_id, "error")
        assert rows(service, Duel) == []


async def test_answers_that_differ_are_no_agreement(tmp_path: Path) -> None:
    tiers = {**AGREEING, "fast": {"model": "scripted/solver-0pct"}}
    async with serving(settings_of(tmp_path, **{**LEARNING, "tiers": tiers})) as service:
        await ask(service)
        [duel] = await service.until(lambda: rows(service, Duel))
        assert (duel.agreement, duel.grade_fast, duel.grade_reasoning) == ("differs", None, None)


async def test_the_cap_of_a_day_holds_and_what_is_not_spent_goes_back(tmp_path: Path) -> None:
    learning = {"keep_share": 0, "duel_usd_per_day": "0.0015"}
    async with serving(settings_of(tmp_path, **{**LEARNING, "learning": learning})) as service:
        for _ in range(12):
            await ask(service)
        found = await service.until(lambda: (seen := rows(service, Duel)) and len(_requests(service)) == 12 and seen)
        days = rows(service, DuelDay)  # two, where midnight came in between
        assert sum(duel.cost_nanousd for duel in found) <= 1_500_000 * len(days)
        assert all(day.taken_nanousd <= 1_500_000 for day in days)
        assert rows(service, FeatureRow) == []


async def test_no_cap_no_duels(tmp_path: Path) -> None:
    async with serving(settings_of(tmp_path, **{**LEARNING, "learning": {"duel_usd_per_day": 0}})) as service:
        request_id, _ = await ask(service)
        await service.booked(request_id)
    assert rows(service, Duel) == []


async def test_a_verdict_of_an_outage_comes_when_the_database_is_back(tmp_path: Path) -> None:
    tiers = {**AGREEING, "reasoning": {"model": "scripted/solver-think-500ms"}}
    async with serving(settings_of(tmp_path, **{**LEARNING, "tiers": tiers})) as service:
        await ask(service)
        await service.until(lambda: rows(service, DuelDay))  # its stake is put down: the rival is being asked
        lock = sqlite3.connect(tmp_path / "books.db", isolation_level=None)
        lock.execute("BEGIN IMMEDIATE")
        await service.until(lambda: _spooled_verdict(tmp_path))
        lock.execute("ROLLBACK")
        lock.close()
        assert await service.until(lambda: rows(service, Duel))


def _spooled_verdict(directory: Path) -> bool:
    return any(b"duel" in path.read_bytes() for path in (directory / "spool").glob("*.spool*"))


def _requests(service: Service) -> list[dict[str, Any]]:
    return service.requests()


def _shadows(service: Service) -> list[dict[str, Any]]:
    from router.ledger.export import COLUMNS, lines

    exported = (dict(zip(COLUMNS, line, strict=True)) for line in lines(service.engine))
    return [line for line in exported if line["kind"] == "shadow"]
