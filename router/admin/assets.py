"""The files that pages load: our own styles and scripts, and Plotly's script out of its Python package.

A closed list, read once: no path of a request ever reaches the file system. Addresses carry a digest of all of them,
so browsers may keep what they have for good.
"""

import gzip
import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

HERE = Path(__file__).parent / "static"
PLOTLY = "plotly.min.js"
TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
WORTH_PACKING = 1_024


@dataclass(frozen=True, slots=True)
class Asset:
    """One file as it is sent."""

    content_type: str
    body: bytes
    packed: bytes | None


def names() -> frozenset[str]:
    """The names of all files that are served."""
    return frozenset({PLOTLY} | {path.name for path in HERE.iterdir() if path.suffix in TYPES})


@cache
def digest() -> str:
    """The digest in every address; it changes whenever any of the files does."""
    total = hashlib.sha256(version("plotly").encode())
    for name in sorted(names() - {PLOTLY}):
        total.update(name.encode() + b"\0" + (HERE / name).read_bytes())
    return total.hexdigest()[:16]


@cache
def asset(name: str) -> Asset:
    """Read one of the names; the large one takes a moment the first time, so call it off the event loop."""
    path = _plotly() if name == PLOTLY else HERE / name
    body = path.read_bytes()
    packed = gzip.compress(body, 6, mtime=0) if len(body) > WORTH_PACKING else None
    return Asset(TYPES[path.suffix], body, packed)


def url(name: str) -> str:
    """The address of a file."""
    return f"/admin/static/{digest()}/{name}"


def _plotly() -> Path:
    """Find the script without importing the package."""
    spec = find_spec("plotly")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    return Path(spec.submodule_search_locations[0]) / "package_data" / PLOTLY
