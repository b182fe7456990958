"""Runs mutated answers through the real application, with a provider of ours behind it, and judges what came out."""

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from aiohttp import web

from router.app import create
from router.database import schema
from router.settings import Settings
from scripts.benchmarks.mutations.answers import TOOLS, Case, a_case

AT_ONCE = 16
MODEL = "made-up"
SHIPPED_WITHIN_S = 60
SHORT = 60  # bytes of a fault's detail


@dataclass
class Result:
    """What came of all cases; a fault is a sentence."""

    answers: int = 0
    readable: int = 0
    lost: int = 0
    ours: int = 0
    disbelieved: int = 0
    lines: int = 0
    estimated: int = 0
    faults: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Reply:
    """What the client got: the text, the calls, an error's body, and the request's id."""

    status: int
    text: str
    calls: list[tuple[str, Any]]
    error: dict[str, Any] | None
    request_id: str


async def run(directory: Path, numbers: Iterable[int], seed: int) -> Result:
    """Send each case, compare what came out with what a person can read, and then look into the books."""
    cases = {number: a_case(number, seed) for number in numbers}
    result, replies = Result(answers=len(cases), readable=sum(case.is_readable for case in cases.values())), {}
    async with _provider(cases) as port, _client(directory, port) as client:
        places = asyncio.Semaphore(AT_ONCE)

        async def ask(case: Case) -> None:
            async with places:
                replies[case.number] = await _ask(client, case)

        await asyncio.gather(*map(ask, cases.values()))
        _judge_replies(result, cases, replies)
        lines = await _lines(directory, len(cases))
    _judge_books(result, cases, replies, lines)
    return result


@asynccontextmanager
async def _provider(cases: dict[int, Case]) -> AsyncIterator[int]:
    """Serve each case to whoever names it in the last message."""

    async def answer(request: web.Request) -> web.StreamResponse:
        asked = await request.json()
        case = cases[int(asked["messages"][-1]["content"].split()[-1])]
        usual = "text/event-stream" if case.streamed else "application/json"
        response = web.StreamResponse(headers={"content-type": case.content_type or usual})
        await response.prepare(request)
        body, size = case.body(), case.packet
        for at in range(0, len(body), size or len(body) or 1):
            await response.write(body[at : at + (size or len(body))])
        if case.aborts and request.transport is not None:
            request.transport.abort()
        return response

    app = web.Application()
    app.router.add_post("/v1/chat/completions", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


@asynccontextmanager
async def _client(directory: Path, port: int) -> AsyncIterator[httpx.AsyncClient]:
    """The real application, in this process."""
    url = f"sqlite:///{directory}/books.db"
    schema.ready_engine(url).dispose()
    served = {"model": f"openai/{MODEL}", "api_base": f"http://127.0.0.1:{port}/v1", "api_key": "none", "timeout_s": 20}
    wired: dict[str, Any] = {
        "database_url": url,
        "state_dir": directory / "state",
        "tiers": {"fast": served, "reasoning": served, "parallel": {"models": [f"openai/{MODEL}"]}},
        "models": {MODEL: served},
        "prices": {f"openai/{MODEL}": {"input": 1, "output": 10}},
        "policy": {"explore": 0, "shadow": 0},
    }
    app = create(Settings(**wired), {})
    transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=("127.0.0.1", 50_000))
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8080", timeout=60) as client,
    ):
        yield client


async def _ask(client: httpx.AsyncClient, case: Case) -> Reply:
    body: dict[str, Any] = {
        "model": MODEL,
        "messages": [{"role": "user", "content": f"Answer as in case {case.number}"}],
        "stream": case.streamed,
        "tools": TOOLS,
    }
    response = await client.post("/v1/chat/completions", json=body)
    request_id = response.headers.get("x-request-id", "")
    content_type = response.headers.get("content-type", "")
    if not content_type.startswith("text/event-stream"):
        answer = response.json()
        choices = answer.get("choices") or [{}]
        message = choices[0].get("message") or {}
        calls = [_call(one["function"]) for one in message.get("tool_calls") or ()]
        return Reply(response.status_code, message.get("content") or "", calls, answer.get("error"), request_id)
    return _joined(response, request_id)


def _joined(response: httpx.Response, request_id: str) -> Reply:
    """Join a stream as OpenAI's clients do."""
    text, error, calls = "", None, dict[int, dict[str, str]]()
    for event in response.text.split("\n\n"):
        payload = event.removeprefix("data: ")
        if not event.startswith("data: ") or payload == "[DONE]":
            continue
        chunk = json.loads(payload)
        error = error or chunk.get("error")
        for choice in chunk.get("choices") or ():
            text += choice["delta"].get("content") or ""
            for piece in choice["delta"].get("tool_calls") or ():
                call = calls.setdefault(piece["index"], {"name": "", "arguments": ""})
                for key in call:
                    call[key] += piece.get("function", {}).get(key) or ""
    return Reply(response.status_code, text, [_call(calls[index]) for index in sorted(calls)], error, request_id)


def _call(function: dict[str, str]) -> tuple[str, Any]:
    try:
        return function["name"], json.loads(function["arguments"])
    except ValueError:
        return function["name"], function["arguments"]


def _judge_replies(result: Result, cases: dict[int, Case], replies: dict[int, Reply]) -> None:
    for number, case in cases.items():
        reply = replies[number]
        if reply.status == 500 or (reply.error or {}).get("code") == "internal_error":
            result.ours += 1
            result.faults.append(f"{_name(case)}: an error of our own")
        elif case.is_readable and reply.error is not None:
            result.lost += 1
            result.faults.append(f"{_name(case)}: lost, {reply.error['message']}")
        elif case.is_readable and _clean(reply.text) != _clean(case.text):
            result.lost += 1
            result.faults.append(f"{_name(case)}: {reply.text[-SHORT:]!r} for {case.text[-SHORT:]!r}")
        elif case.is_readable and reply.calls != case.calls:
            result.lost += 1
            result.faults.append(f"{_name(case)}: {reply.calls} for {case.calls}")


def _judge_books(
    result: Result, cases: dict[int, Case], replies: dict[int, Reply], lines: list[dict[str, Any]]
) -> None:
    """Find lines that say `exact` and contradict what the client got."""
    by_request = {reply.request_id.replace("-", ""): number for number, reply in replies.items()}
    for line in lines:
        case = cases[by_request[line["request_id"]]]
        result.lines += 1
        result.estimated += line["precision"] == "estimated"
        if line["precision"] != "exact" or line["status"] != "ok":
            continue
        reply = replies[case.number]
        said = len(reply.text.split()) + 3 * len(reply.calls)
        output = line["output_visible"] + line["output_reasoning"]
        if not (said * 0.6 <= output <= 20 * said + 10_000) or not line["input_fresh"] + line["input_cached"]:
            result.disbelieved += 1
            result.faults.append(f"{_name(case)}: {output} tokens for {said} words, exact")


async def _lines(directory: Path, expected: int) -> list[dict[str, Any]]:
    """Wait until the books have a line for each case."""
    found: list[dict[str, Any]] = []
    for _ in range(SHIPPED_WITHIN_S * 5):
        with closing(sqlite3.connect(directory / "books.db")) as connection:
            connection.row_factory = sqlite3.Row
            rows = connection.execute("SELECT * FROM call_lines").fetchall()
        found = [dict(row) for row in rows]
        if len(found) >= expected:
            break
        await asyncio.sleep(0.2)
    return [{**line, "request_id": _hex(line["request_id"])} for line in found]


def _hex(request_id: Any) -> str:
    return request_id.hex() if isinstance(request_id, bytes) else str(request_id).replace("-", "").lower()


def _clean(text: str) -> str:
    return "".join(text.replace("\ufffd", "").split())


def _name(case: Case) -> str:
    return f"case {case.number} ({'stream' if case.streamed else 'whole'}, {', '.join(case.done)})"
