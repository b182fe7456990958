from pathlib import Path
from typing import Any

import pytest

from tests.api.messages.test_endpoint import MESSAGES, a_message
from tests.api.responses.test_endpoint import RESPONSES, a_request
from tests.api.service import CHAT, Connection, Service, a_chat, serving, settings_of

COMMENT = b": keep-alive\n\n"
PATHS = pytest.mark.parametrize(
    ("path", "body"),
    [(CHAT, a_chat), (RESPONSES, a_request), (MESSAGES, a_message)],
    ids=["chat", "responses", "messages"],
)


def a_silent(directory: Path, keep_alive_s: float, **models: str) -> Any:
    scripts = {"silent": "scripted/echo-600ms", "pausing": "scripted/echo-500gap", **models}
    named = {name: {"model": model} for name, model in scripts.items()}
    return serving(settings_of(directory, models=named, server={"keep_alive_s": keep_alive_s}))


def pieces(connection: Connection) -> list[bytes]:
    return [message["body"] for message in connection.sent[1:]]


@PATHS
async def test_a_stream_that_is_silent_before_its_first_token_sends_comments(
    tmp_path: Path, path: str, body: Any
) -> None:
    async with a_silent(tmp_path, 0.2) as service:
        connection = Connection(service, body("silent", stream=True), path)
        await connection.task
    assert pieces(connection)[0] == COMMENT
    assert b"Say" in b"".join(pieces(connection))


async def test_comments_come_between_tokens_too_and_change_nothing_else(tmp_path: Path) -> None:
    async with a_silent(tmp_path, 0.2) as service:
        connection = Connection(service, a_chat("pausing", stream=True))
        await connection.task
    sent = b"".join(pieces(connection))
    assert COMMENT in sent
    assert sent.replace(COMMENT, b"").endswith(b"data: [DONE]\n\n")
    assert b'"Say"' in sent


async def test_a_message_that_has_begun_is_kept_alive_by_pings(tmp_path: Path) -> None:
    async with a_silent(tmp_path, 0.2) as service:
        connection = Connection(service, a_message("pausing", stream=True), MESSAGES)
        await connection.task
    assert b"".join(pieces(connection)).count(b"event: ping") >= 2


async def test_a_comment_is_no_output_so_a_fallback_still_answers(tmp_path: Path) -> None:
    wired = {"models": {"late": {"model": "scripted/fail-500-600ms"}}, "server": {"keep_alive_s": 0.2}}
    settings = settings_of(tmp_path, fallbacks={"scripted/fail-500-600ms": ["scripted/echo"]}, **wired)
    async with serving(settings) as service:
        connection = Connection(service, a_chat("late", stream=True))
        await connection.task
        booked = await service.booked(connection.headers["x-request-id"])
    assert pieces(connection)[0] == COMMENT
    assert b"Say" in b"".join(pieces(connection))
    assert booked["reason"] == "fallback"
    assert booked["first_byte_ms"] >= 500


@PATHS
async def test_a_failure_after_a_comment_is_the_end_of_the_stream(tmp_path: Path, path: str, body: Any) -> None:
    async with a_silent(tmp_path, 0.2, late="scripted/fail-500-600ms") as service:
        connection = Connection(service, body("late", stream=True), path)
        await connection.task
    assert connection.sent[0]["status"] == 200
    assert b"error" in pieces(connection)[-1]
    assert connection.sent[-1]["more_body"] is False


async def test_without_an_interval_nothing_is_sent_and_failures_are_http_errors(tmp_path: Path) -> None:
    async with a_silent(tmp_path, 0, late="scripted/fail-500-600ms") as service:
        failed = Connection(service, a_chat("late", stream=True))
        silent = Connection(service, a_chat("silent", stream=True))
        await failed.task
        await silent.task
    assert failed.sent[0]["status"] == 502
    assert COMMENT not in pieces(silent)


async def test_whoever_leaves_a_silent_stream_is_booked_as_cancelled(tmp_path: Path) -> None:
    async with a_silent(tmp_path, 0.05, never="scripted/hang") as service:
        connection = Connection(service, a_chat("never", stream=True))
        await connection.arrived(3)
        await connection.leave()
        assert await cancelled(service)


async def cancelled(service: Service) -> bool:
    [request] = await service.until(service.requests)
    return bool(request["outcome"] == "cancelled")
