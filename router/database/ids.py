"""Request ids as numbers and bytes, to read stretches of them on either database: the first 48 bits are the time."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

END_OF_TIME_MS = 1 << 48
LAST = (1 << 128) - 1


def as_bytes(dialect: str, column: str) -> str:
    """Write SQL that yields an id column as 16 bytes."""
    return f"uuid_send({column})" if dialect == "postgresql" else column


def between(dialect: str, column: str) -> str:
    """Write SQL that limits an id column to the parameters `low` and `high`, both included."""
    if dialect == "postgresql":
        return f"{column} >= CAST(:low AS uuid) AND {column} <= CAST(:high AS uuid)"
    return f"{column} >= :low AND {column} <= :high"


def bounds(dialect: str, start: int, end: int) -> dict[str, object]:
    """Return the parameters of `between`: the ids from `start` (inclusive) to `end` (exclusive), as numbers."""
    values = (start, end - 1)
    limits = [f"{v:032x}" if dialect == "postgresql" else v.to_bytes(16, "big") for v in values]
    return {"low": limits[0], "high": limits[1]}


def first_at(ms: int) -> int:
    """Return the smallest id of a millisecond, as a number."""
    return min(max(ms, 0), END_OF_TIME_MS) << 80


def text_at(ms: int) -> str:
    """Return the smallest id of a millisecond as 32 hex digits; of one beyond the end of time, the largest."""
    return f"{min(first_at(ms), LAST):032x}"


def ms_of(ids: NDArray[np.bytes_]) -> NDArray[np.int64]:
    """Return the milliseconds in ids of 16 bytes."""
    octets = np.frombuffer(ids.tobytes(), np.uint8).reshape(-1, 16)[:, :6].astype(np.int64)
    return octets @ (1 << np.arange(40, -8, -8, dtype=np.int64))


def as_array(ids: Sequence[bytes]) -> NDArray[np.bytes_]:
    """Lay ids out as an array that sorts as the databases do."""
    return np.array(ids, dtype="S16")
