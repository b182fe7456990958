"""Batches: many calls of one model handed to its provider in a file, answered within hours at a lower price.

Only the shapes, and what a provider that sells them does; `router.providers.openai.batches` speaks to one.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from router.errors import Cause
from router.providers.base import Completion, ModelTarget, ProviderRequest

OVER = frozenset({"completed", "failed", "expired", "cancelled"})
MOST_BYTES = 100_000_000  # of a file; OpenAI takes 200 MB, others less


class Batch(msgspec.Struct, frozen=True):
    """A batch as its provider shows it: how far it is, and the files that go in and come out of it."""

    id: str
    status: str
    input_file_id: str | None = None
    output_file_id: str | None = None
    error_file_id: str | None = None
    total: int = 0
    completed: int = 0
    failed: int = 0

    @property
    def is_over(self) -> bool:
        """Tell whether nothing more will come of it."""
        return self.status in OVER

    @property
    def files(self) -> Sequence[str]:
        """The files that stand at the provider for it."""
        return [name for name in (self.input_file_id, self.output_file_id, self.error_file_id) if name]


class BatchLine(msgspec.Struct, frozen=True):
    """What came of one call of a batch: an answer, or why there is none.

    `is_billed`: the provider answered, and what it said could not be read.
    """

    custom_id: str
    completion: Completion | None = None
    cause: Cause | None = None
    http_status: int | None = None
    is_cancelled: bool = False
    is_billed: bool = False


class BatchProvider(Protocol):
    """Who sells batches. Every method raises ProviderError; `key` is our own name of a batch, kept with it."""

    def write(self, requests: Mapping[str, ProviderRequest]) -> bytes:
        """Write the file of calls, by their ids."""
        ...

    async def upload(self, target: ModelTarget, key: str, content: bytes) -> str:
        """Upload a file, and return the id that it has there."""
        ...

    async def create(self, target: ModelTarget, key: str, file_id: str) -> Batch:
        """Begin a batch of an uploaded file."""
        ...

    async def find(self, target: ModelTarget, key: str, file_id: str) -> Batch | None:
        """Find a batch that was begun, though its id was not kept; None where there is none."""
        ...

    async def look(self, target: ModelTarget, batch_id: str) -> Batch:
        """Tell how far a batch is."""
        ...

    async def cancel(self, target: ModelTarget, batch_id: str) -> None:
        """Ask for the end of a batch; what is under way in it may still be answered."""
        ...

    async def read(
        self, target: ModelTarget, batch: Batch, requests: Mapping[str, ProviderRequest]
    ) -> Sequence[BatchLine]:
        """Return what came of a batch that is over, in any order. `requests` help to read it, where they are known."""
        ...

    async def clear(self, target: ModelTarget, batch: Batch) -> None:
        """Delete the files of a batch, as far as the provider lets it."""
        ...
