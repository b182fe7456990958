"""What the README promises: its pictures are there and small, its figures are those of the pages that it links to."""

import re
from pathlib import Path

import pytest
from PIL import Image

from scripts.showcase.pictures import MOST_BYTES

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
PICTURES = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", TEXT)
ROWS = [line for line in TEXT.splitlines() if line.startswith("|") and "](docs/" in line and "![" not in line]


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_is_there_and_small(name: str) -> None:
    assert (ROOT / name).stat().st_size <= MOST_BYTES
    with Image.open(ROOT / name) as picture:
        assert picture.width >= 1_000


def test_there_are_pictures_and_measured_rows() -> None:
    assert len(PICTURES) == 2
    assert len(ROWS) >= 6


@pytest.mark.parametrize("row", ROWS, ids=range(len(ROWS)))
def test_a_figure_is_that_of_the_page_it_links_to(row: str) -> None:
    pages = "".join((ROOT / path).read_text(encoding="utf-8") for path in re.findall(r"\]\((docs/[^)#]+)", row))
    assert [figure for figure in re.findall(r"\*\*([0-9.]+)\*\*", row) if figure not in pages] == []


@pytest.mark.parametrize("command", sorted(set(re.findall(r"\bscripts/(\w+)", TEXT))))
def test_a_script_that_is_named_is_there(command: str) -> None:
    assert (ROOT / "scripts" / command).is_file()
