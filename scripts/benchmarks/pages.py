"""Puts measured tables into pages of the documentation, between comments that name their place."""

import os
import re
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
MEASURED = DOCS / "measured"
RECORDED = ROOT.parent / "shared" / "data"  # recorded by others; each command says where the originals are


def put(page: str, place: str, text: str) -> None:
    """Replace what stands between `<!-- place -->` and the next `<!-- end -->`."""
    path = MEASURED / page
    marked = re.compile(rf"(<!-- {re.escape(place)} -->\n).*?(\n<!-- end -->)", re.DOTALL)
    found, count = marked.subn(lambda match: match[1] + text + match[2], path.read_text(encoding="utf-8"), count=1)
    if not count:
        raise ValueError(f"{page} has no place for {place}")
    path.write_text(found, encoding="utf-8")


def put_row(page: str, first: str, row: str) -> None:
    """Replace the row of a table that has `first` in its first cell."""
    path = MEASURED / page
    lines = path.read_text(encoding="utf-8").split("\n")
    at = [number for number, line in enumerate(lines) if line.startswith(f"| {first} |")]
    if len(at) != 1:
        raise ValueError(f"{page} has {len(at)} rows of {first}")
    lines[at[0]] = row
    path.write_text("\n".join(lines), encoding="utf-8")


def circumstances(load: float) -> str:
    """When this was measured, and what else the machine did."""
    return f"{time.strftime('%Y-%m-%d')}, load {load:.1f} on {os.cpu_count()} cores"
