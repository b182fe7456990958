"""From a configured base address to the addresses that are called. Pure.

A base address may come as people copy it: with a query (an API version), with the path of the call itself, or without
the `/v1` that most servers have. Where a version is missing, both forms are possible: the likelier comes first.
"""

import re
from functools import lru_cache
from urllib.parse import SplitResult, urlsplit, urlunsplit

from yarl import URL

from router.providers.openai.backends import split_base

CALLS = ("/chat/completions", "/completions", "/embeddings", "/responses", "/models")
_VERSION = re.compile(r"/v\d+[a-z0-9]*(?=/|$)")


def bases_of(base: str) -> tuple[URL, ...]:
    """Return the base addresses to try, in this order: one, or two where it names no version.

    Raises ValueError for what is no address.
    """
    parts = split_base(base)
    path = parts.path.rstrip("/")
    for call in CALLS:
        if path.endswith(call):
            return (_with_path(parts, path.removesuffix(call)),)
    if _VERSION.search(path):
        return (_with_path(parts, path),)
    bare, versioned = _with_path(parts, path), _with_path(parts, f"{path}/v1")
    return (bare, versioned) if path else (versioned, bare)


@lru_cache(maxsize=1_024)
def call_at(base: URL, call: str) -> URL:
    """Return the address of a call below a base address, with the query of the base."""
    parts = urlsplit(str(base))
    return _with_path(parts, f"{parts.path.rstrip('/')}/{call}")


def _with_path(parts: SplitResult, path: str) -> URL:
    return URL(urlunsplit(parts._replace(path=path, fragment="")), encoded=True)
