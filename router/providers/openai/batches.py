"""Batches of OpenAI and of every backend that has the same interface: files of lines, and batches of files.

Lines of results come in any order, and some may be missing. Uploading and looking may be repeated; a batch is created
by one request only, and where nobody knows whether that arrived, it is looked for.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, TypeVar
from urllib.parse import quote

import aiohttp
import msgspec

from router.errors import Cause, ProviderError
from router.providers.base import Completion, ModelTarget, ProviderRequest
from router.providers.batches import Batch, BatchLine
from router.providers.openai.client import CHAT, OpenAICompatible
from router.providers.openai.tool_calls import ANY_ANSWER, expectation_of
from router.types import UNREADABLE

OUR_KEY = "tierwise"  # in the metadata of a batch
MOST_PAGES = 20
PAGE = 100
CANCELLED, EXPIRED = "batch_cancelled", "batch_expired"  # codes of lines that were not worked on

encode = msgspec.json.Encoder().encode
Wanted = TypeVar("Wanted")


class _Counts(msgspec.Struct, frozen=True):
    total: int | None = None
    completed: int | None = None
    failed: int | None = None


class _Batch(msgspec.Struct, frozen=True):
    id: str
    status: str
    input_file_id: str | None = None
    output_file_id: str | None = None
    error_file_id: str | None = None
    request_counts: _Counts | None = None
    metadata: dict[str, Any] | None = None

    def plain(self) -> Batch:
        counts = self.request_counts or _Counts()
        return Batch(
            self.id,
            self.status.lower(),
            self.input_file_id,
            self.output_file_id,
            self.error_file_id,
            counts.total or 0,
            counts.completed or 0,
            counts.failed or 0,
        )


class _Page(msgspec.Struct, frozen=True):
    data: list[_Batch] = []
    has_more: bool | None = None


class _File(msgspec.Struct, frozen=True):
    id: str


class _Response(msgspec.Struct, frozen=True):
    status_code: int = 0
    body: msgspec.Raw = msgspec.Raw(b"null")


class _Line(msgspec.Struct, frozen=True):
    custom_id: str
    response: _Response | None = None
    error: dict[str, Any] | None = None


class OpenAIBatches:
    """Speaks to the batch interface of the backends of one client."""

    def __init__(self, client: OpenAICompatible) -> None:
        self._client = client

    def write(self, requests: Mapping[str, ProviderRequest]) -> bytes:
        """Write the file of calls, by their ids."""
        lines = []
        for custom_id, request in requests.items():
            body, _ = self._client.body_for(request)
            lines.append(encode({"custom_id": custom_id, "method": "POST", "url": f"/v1/{CHAT}", "body": body}))
        return b"\n".join(lines) + b"\n"

    async def upload(self, target: ModelTarget, key: str, content: bytes) -> str:
        """Upload a file, and return the id that it has there."""
        form = aiohttp.FormData()
        form.add_field("purpose", "batch")
        form.add_field("file", content, filename=f"{key}.jsonl", content_type="application/jsonl")
        return _decode(await self._client.ask(target, "POST", "files", form=form, moves=True), _File, target).id

    async def create(self, target: ModelTarget, key: str, file_id: str) -> Batch:
        """Begin a batch of an uploaded file."""
        body = {
            "input_file_id": file_id,
            "endpoint": f"/v1/{CHAT}",
            "completion_window": target.batch_window,
            "metadata": {OUR_KEY: key},
        }
        return _decode(await self._client.ask(target, "POST", "batches", body=body), _Batch, target).plain()

    async def find(self, target: ModelTarget, key: str, file_id: str) -> Batch | None:
        """Find a batch by its file or by our key, the newest first; None where there is none."""
        after: str | None = None
        for _ in range(MOST_PAGES):
            query = {"limit": str(PAGE)} | ({"after": after} if after else {})
            page = _decode(await self._client.ask(target, "GET", "batches", query=query), _Page, target)
            for one in page.data:
                if one.input_file_id == file_id or (one.metadata or {}).get(OUR_KEY) == key:
                    return one.plain()
            if not page.data or not page.has_more:
                return None
            after = page.data[-1].id
        return None

    async def look(self, target: ModelTarget, batch_id: str) -> Batch:
        """Tell how far a batch is."""
        return _decode(await self._client.ask(target, "GET", f"batches/{_part(batch_id)}"), _Batch, target).plain()

    async def cancel(self, target: ModelTarget, batch_id: str) -> None:
        """Ask for the end of a batch; one that has ended is left as it is."""
        try:
            await self._client.ask(target, "POST", f"batches/{_part(batch_id)}/cancel", body={})
        except ProviderError as error:
            if error.provider_status not in (400, 409):  # it has ended, or is being cancelled
                raise

    async def read(
        self, target: ModelTarget, batch: Batch, requests: Mapping[str, ProviderRequest]
    ) -> Sequence[BatchLine]:
        """Return what came of a batch that is over; of several lines of a call, the first."""
        found: dict[str, BatchLine] = {}
        for file_id in (batch.output_file_id, batch.error_file_id):
            if not file_id:
                continue
            content = await self._client.ask(target, "GET", f"files/{_part(file_id)}/content")
            for line in content.splitlines():
                with suppress(*UNREADABLE):  # as blank lines are: the call counts as one without a line
                    read = msgspec.json.decode(line, type=_Line)
                    found.setdefault(read.custom_id, self._read(target, read, requests.get(read.custom_id)))
        return list(found.values())

    async def clear(self, target: ModelTarget, batch: Batch) -> None:
        """Delete the files of a batch, as far as the provider lets it."""
        for file_id in batch.files:
            with suppress(ProviderError):
                await self._client.ask(target, "DELETE", f"files/{_part(file_id)}")

    def _read(self, target: ModelTarget, line: _Line, request: ProviderRequest | None) -> BatchLine:
        if line.response is None or line.response.status_code >= 400 or not line.response.status_code:
            return _failure_of(line)
        try:
            completion = self._complete(target, line.response.body, request)
        except ProviderError as error:
            return BatchLine(line.custom_id, cause=error.cause, http_status=200, is_billed=True)
        return BatchLine(line.custom_id, completion)

    def _complete(self, target: ModelTarget, body: msgspec.Raw, request: ProviderRequest | None) -> Completion:
        expected = ANY_ANSWER if request is None else expectation_of(request.params, request.messages)
        dropped = [] if request is None else self._client.body_for(request)[1]
        return self._client.reader_of(target, dropped, expected).read(bytes(body))


def _failure_of(line: _Line) -> BatchLine:
    code = (line.error or {}).get("code")
    if code == CANCELLED:
        return BatchLine(line.custom_id, is_cancelled=True)
    if code == EXPIRED:
        return BatchLine(line.custom_id, cause=Cause.TIMEOUT_TOTAL)
    status = line.response.status_code if line.response is not None else None
    return BatchLine(line.custom_id, cause=Cause.UNKNOWN, http_status=status or None)


def _part(name: str) -> str:
    """Write an id that a provider gave as one part of a path."""
    return quote(name, safe="")


def _decode(content: bytes, wanted: type[Wanted], target: ModelTarget) -> Wanted:
    try:
        return msgspec.json.decode(content, type=wanted)
    except UNREADABLE as error:
        message = f"the batch interface of {target.name} answered with something else"
        raise ProviderError(message, provider_status=200, cause=Cause.NONSENSE) from error
