"""A provider that sells batches, as awkward as they are: slow to begin, unordered, with lines that fail or lack."""

import asyncio
import json
from collections import Counter
from dataclasses import dataclass, field
from random import Random
from typing import Any

from aiohttp import web

INPUT_TOKENS, OUTPUT_TOKENS = 30, 12
OVER = ("completed", "expired", "cancelled", "failed")


@dataclass
class Sold:
    """One batch that was created."""

    id: str
    file_id: str
    key: str
    window: str
    lines: list[dict[str, Any]]
    status: str = "validating"
    looks: int = 0
    cancelling_for: int = 0
    answered: list[dict[str, Any]] = field(default_factory=list)
    refused: list[dict[str, Any]] = field(default_factory=list)
    output_file_id: str | None = None
    error_file_id: str | None = None


@dataclass
class BatchHouse:
    """The provider. A look at a batch is what lets it come on: `each_look` lines are answered by it.

    `validates_for` looks are spent before the first line; `stops_after` lines nothing more is answered; `expires`: then
    it is over. `failing` lines end with an error, `missing` ones are in no file. `creation` is what the first request
    that creates a batch comes to: "ok"; "lost", which creates and answers 500; "hung", which creates and never answers;
    "refused" as by a quota. `rejects` fails every batch when it is validated.
    """

    validates_for: int = 1
    each_look: int = 3
    stops_after: int | None = None
    expires: bool = False
    failing: int = 0
    missing: int = 0
    creation: str = "ok"
    cancels_for: int = 2
    rejects: bool = False
    answers: str = "same"  # or "other": each answer another one
    batches: list[Sold] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    uploads: int = 0
    creations: int = 0
    deleted: list[str] = field(default_factory=list)
    served: Counter[str] = field(default_factory=Counter)  # "batch" and "call": answers that are billed
    asked: list[str] = field(default_factory=list)  # contents of files, as they came

    def app(self) -> web.Application:
        """What serves it."""
        app = web.Application(client_max_size=2**26)
        app.add_routes(
            [
                web.post("/v1/files", self._upload),
                web.get("/v1/files/{id}/content", self._read),
                web.delete("/v1/files/{id}", self._delete),
                web.post("/v1/batches", self._create),
                web.get("/v1/batches", self._list),
                web.get("/v1/batches/{id}", self._look),
                web.post("/v1/batches/{id}/cancel", self._cancel),
                web.post("/v1/chat/completions", self._chat),
                web.get("/v1/models", self._models),
            ]
        )
        return app

    async def _models(self, request: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": []})

    async def _upload(self, request: web.Request) -> web.Response:
        form = await request.post()
        assert form["purpose"] == "batch"
        content = form["file"].file.read()  # type: ignore[union-attr]
        self.uploads += 1
        self.asked.append(content.decode())
        file_id = f"file-in{self.uploads}"
        self.files[file_id] = content
        return web.json_response({"id": file_id, "object": "file", "purpose": "batch"})

    async def _read(self, request: web.Request) -> web.Response:
        content = self.files.get(request.match_info["id"])
        return _error(404, "no such file") if content is None else web.Response(body=content)

    async def _delete(self, request: web.Request) -> web.Response:
        self.deleted.append(request.match_info["id"])
        self.files.pop(request.match_info["id"], None)
        return web.json_response({"deleted": True})

    async def _create(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.creations += 1
        manner, self.creation = self.creation, "ok"
        if manner == "refused":
            return _error(403, "batches are not for you")
        lines = [json.loads(line) for line in self.files[body["input_file_id"]].splitlines()]
        assert body["endpoint"] == "/v1/chat/completions"
        assert len({line["custom_id"] for line in lines}) == len(lines)
        key = body["metadata"]["tierwise"]
        sold = Sold(f"batch_{self.creations}", body["input_file_id"], key, body["completion_window"], lines)
        self.batches.append(sold)
        if manner == "lost":
            return _error(500, "something went wrong")
        if manner == "hung":
            await asyncio.sleep(60)
        return web.json_response(self._shown(sold))

    async def _list(self, request: web.Request) -> web.Response:
        """The newest first, one a page."""
        found, after = self.batches[::-1], request.query.get("after")
        place = next((i + 1 for i, sold in enumerate(found) if sold.id == after), 0)
        page = [self._shown(sold) for sold in found[place : place + 1]]
        return web.json_response({"object": "list", "data": page, "has_more": place + 1 < len(found)})

    async def _look(self, request: web.Request) -> web.Response:
        sold = self._find(request)
        self._come_on(sold)
        return web.json_response(self._shown(sold))

    async def _cancel(self, request: web.Request) -> web.Response:
        sold = self._find(request)
        if sold.status in OVER:
            return _error(409, "it is over")
        if sold.status == "cancelling":
            return _error(400, "it is being cancelled")
        sold.status, sold.cancelling_for = "cancelling", self.cancels_for
        return web.json_response(self._shown(sold))

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.served["call"] += 1
        if not body.get("stream"):
            return web.json_response(self._completion())
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        whole = self._completion()
        said = {"role": "assistant", "content": whole["choices"][0]["message"]["content"]}
        chunk = {"id": "c", "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": said}]}
        end = {"id": "c", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "usage": whole["usage"]}
        for event in (json.dumps(chunk), json.dumps(end), "[DONE]"):
            await response.write(f"data: {event}\n\n".encode())
        return response

    def _come_on(self, sold: Sold) -> None:
        sold.looks += 1
        if sold.status in OVER or sold.looks <= self.validates_for:
            return
        if self.rejects:
            sold.status = "failed"
            return
        if sold.status == "cancelling":
            self._answer(sold, 1)
            sold.cancelling_for -= 1
            if sold.cancelling_for <= 0:
                self._end(sold, "cancelled")
            return
        sold.status = "in_progress"
        most = len(sold.lines) - self.missing if self.stops_after is None else self.stops_after
        self._answer(sold, min(self.each_look, most - len(sold.answered) - len(sold.refused)))
        if len(sold.answered) + len(sold.refused) + self.missing >= len(sold.lines):
            self._end(sold, "completed")
        elif self.expires and len(sold.answered) + len(sold.refused) >= most:
            self._end(sold, "expired")

    def _answer(self, sold: Sold, count: int) -> None:
        began = len(sold.answered) + len(sold.refused)
        for line in sold.lines[began : began + max(count, 0)]:
            if len(sold.refused) < self.failing:
                response = {"status_code": 500, "request_id": "r", "body": {"error": {"message": "no"}}}
                sold.refused.append({"id": "l", "custom_id": line["custom_id"], "response": response, "error": None})
            else:
                self.served["batch"] += 1
                response = {"status_code": 200, "request_id": "r", "body": self._completion()}
                sold.answered.append({"id": "l", "custom_id": line["custom_id"], "response": response, "error": None})

    def _end(self, sold: Sold, status: str) -> None:
        sold.status = status
        done = {line["custom_id"] for line in (*sold.answered, *sold.refused)}
        undone = [] if status == "completed" else [line for line in sold.lines if line["custom_id"] not in done]
        errors = [
            {"id": "l", "custom_id": line["custom_id"], "response": None, "error": {"code": f"batch_{status}"}}
            for line in undone
        ]
        sold.output_file_id = self._file(f"file-out-{sold.id}", sold.answered)
        sold.error_file_id = self._file(f"file-err-{sold.id}", [*sold.refused, *errors])

    def _file(self, file_id: str, lines: list[dict[str, Any]]) -> str | None:
        if not lines:
            return None
        Random(7).shuffle(shuffled := list(lines))
        self.files[file_id] = b"\n\n".join(json.dumps(line).encode() for line in [*shuffled, shuffled[0]]) + b"\n"
        return file_id

    def _completion(self) -> dict[str, Any]:
        number = 12 if self.answers == "same" else self.served.total()
        message = {"role": "assistant", "content": f"The answer is {number}."}
        usage = {"prompt_tokens": INPUT_TOKENS, "completion_tokens": OUTPUT_TOKENS, "total_tokens": 42}
        choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
        return {"id": "c", "object": "chat.completion", "model": "double", "choices": choices, "usage": usage}

    def _find(self, request: web.Request) -> Sold:
        found = next((sold for sold in self.batches if sold.id == request.match_info["id"]), None)
        if found is None:
            raise web.HTTPNotFound(text='{"error": {"message": "no such batch"}}')
        return found

    def _shown(self, sold: Sold) -> dict[str, Any]:
        return {
            "id": sold.id,
            "object": "batch",
            "status": sold.status,
            "endpoint": "/v1/chat/completions",
            "input_file_id": sold.file_id,
            "completion_window": sold.window,
            "output_file_id": sold.output_file_id,
            "error_file_id": sold.error_file_id,
            "metadata": {"tierwise": sold.key},
            "request_counts": {
                "total": len(sold.lines),
                "completed": len(sold.answered),
                "failed": len(sold.refused) + (self.missing if sold.status == "completed" else 0),
            },
        }


def _error(status: int, message: str) -> web.Response:
    return web.json_response({"error": {"message": message, "type": "error"}}, status=status)
