from collections.abc import Iterator
from pathlib import Path

import pytest

from router.ledger.spool import Spool
from tests.ledger.builders import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def spool_dir(tmp_path: Path) -> Path:
    return tmp_path / "spool"


@pytest.fixture
def spool(spool_dir: Path) -> Iterator[Spool]:
    opened = Spool.open(spool_dir)
    yield opened
    opened.close()
