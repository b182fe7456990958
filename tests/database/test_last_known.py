"""The last known state of the books: what cannot be read counts as none."""

from pathlib import Path

import pytest

from router.database import last_known


@pytest.mark.parametrize("written", [None, b"", b'{"version": 1', b'{"version": 99, "at_us": 1, "tables": {}}'])
def test_a_file_that_cannot_be_read_is_no_file(tmp_path: Path, written: bytes | None) -> None:
    if written is not None:
        (tmp_path / last_known.FILE).write_bytes(written)
    assert last_known.load(tmp_path) is None
