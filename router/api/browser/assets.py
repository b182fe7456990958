"""The files that pages load, from closed lists read once: no path of a request ever reaches the file system.

Addresses carry a digest of all the files below them, so browsers may keep what they have for good.
"""

import gzip
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from starlette.responses import Response

from router.errors import NotFound

SHARED = Path(__file__).parent / "static"
TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
WORTH_PACKING = 1_024


@dataclass(frozen=True, slots=True)
class Asset:
    """One file as it is sent."""

    content_type: str
    body: bytes
    packed: bytes | None


class Assets:
    """The files below one address: those of some directories, and others that are found when they are asked for.

    `salt` stands for the content of the others in the digest. Methods block.
    """

    def __init__(
        self,
        address: str,
        *directories: Path,
        others: Mapping[str, Callable[[], Path]] | None = None,
        salt: Callable[[], str] = str,
    ) -> None:
        self._address = address
        self._own = {path.name: path for at in directories for path in at.iterdir() if path.suffix in TYPES}
        self._others = others or {}
        self._salt = salt
        self._read: dict[str, Asset] = {}
        self.names = frozenset({*self._own, *self._others})

    @cached_property
    def digest(self) -> str:
        """The digest in every address; it changes whenever any of the files does."""
        total = hashlib.sha256(self._salt().encode())
        for name in sorted(self._own):
            total.update(name.encode() + b"\0" + self._own[name].read_bytes())
        return total.hexdigest()[:16]

    def url(self, name: str) -> str:
        """The address of a file."""
        return f"{self._address}/{self.digest}/{name}"

    def asset(self, name: str) -> Asset:
        """Read one of the names; a large one takes a moment the first time."""
        if name not in self._read:
            path = self._own[name] if name in self._own else self._others[name]()
            body = path.read_bytes()
            packed = gzip.compress(body, 6, mtime=0) if len(body) > WORTH_PACKING else None
            self._read[name] = Asset(TYPES[path.suffix], body, packed)
        return self._read[name]

    def response(self, name: str, version: str, accepted: str) -> Response:
        """Answer with a file; `accepted` is the Accept-Encoding header. Raises NotFound."""
        if name not in self.names:
            raise NotFound("there is no such file")
        asset = self.asset(name)
        headers = {
            "content-type": asset.content_type,
            "vary": "accept-encoding",
            "cache-control": "public, max-age=31536000, immutable" if version == self.digest else "no-cache",
        }
        if asset.packed is not None and "gzip" in accepted:
            return Response(asset.packed, headers=headers | {"content-encoding": "gzip"})
        return Response(asset.body, headers=headers)
