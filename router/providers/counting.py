"""Counting tokens where a provider did not: an estimate within ten per cent for ordinary text, without network.

The vocabulary (o200k) is read from the files that litellm's package carries, without importing litellm; without them
the count is rougher. Reading it takes a third of a second and 75 MB, once, with the first count: an ordinary request,
whose provider reports its usage, counts nothing. Call `warm` at the start where every request is counted.
"""

import os
import re
from codecs import getincrementaldecoder
from collections.abc import Sequence
from functools import cache
from hashlib import sha1
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tiktoken import Encoding

VOCABULARY = "o200k_base"
VOCABULARY_URL = "https://openaipublic.blob.core.windows.net/encodings/o200k_base.tiktoken"  # names the cached file
SAMPLED_CHARACTERS = 100_000  # of longer text this much is counted and the rest extrapolated: counting takes time
TOKENS_PER_MESSAGE = 4
TOKENS_PER_REPLY = 3
TOKENS_PER_IMAGE = 765
TOKENS_PER_SMALL_IMAGE = 85


def warm() -> None:
    """Read the vocabulary now, off the event loop, so that the first count is quick."""
    _encoding()


def count_tokens(text: str) -> int:
    """Estimate the tokens of a text."""
    if not text:
        return 0
    sample = text[:SAMPLED_CHARACTERS]
    encoding = _encoding()
    count = len(encoding.encode_ordinary(sample)) if encoding else _rough(sample)
    return count if len(sample) == len(text) else round(count * len(text) / len(sample))


def tokens_of(text: str) -> list[str]:
    """Cut a text into its tokens; joined they are the text again (a letter cut in two goes with its last byte)."""
    encoding = _encoding()
    if encoding is None:
        return re.findall(r"\s*\S{1,4}|\s+$", text)
    decoder = getincrementaldecoder("utf-8")()
    return [decoder.decode(piece) for piece in encoding.decode_tokens_bytes(encoding.encode_ordinary(text))]


def count_input_tokens(messages: Sequence[dict[str, Any]]) -> int:
    """Estimate the input tokens of OpenAI-shaped messages, with what their framing costs."""
    return sum(TOKENS_PER_MESSAGE + _of_message(message) for message in messages) + TOKENS_PER_REPLY


def _of_message(message: dict[str, Any]) -> int:
    content, functions = message.get("content"), [call.get("function") for call in message.get("tool_calls") or ()]
    called = sum(count_tokens(f"{f.get('name')}{f.get('arguments')}") for f in functions if f)
    if isinstance(content, str):
        return called + count_tokens(content)
    return called + sum(_of_part(part) for part in content or ())


def _of_part(part: dict[str, Any]) -> int:
    match part.get("type"):
        case "image_url":
            image = part.get("image_url")
            is_small = isinstance(image, dict) and image.get("detail") == "low"
            return TOKENS_PER_SMALL_IMAGE if is_small else TOKENS_PER_IMAGE
        case _:
            text = part.get("text")
            return count_tokens(text) if isinstance(text, str) else 0


def _rough(text: str) -> int:
    """Estimate tokens: four letters of English make one; of other scripts, most letters are one."""
    plain = sum(map(str.isascii, text))
    return round(plain / 4.2 + (len(text) - plain) * 0.7) or 1


@cache
def _encoding() -> "Encoding | None":
    """Return the vocabulary from the disk; None (and never the network) where its file is missing."""
    spec = find_spec("litellm")
    folders = [Path(place) for place in spec.submodule_search_locations or ()] if spec else []
    for folder in folders:
        files = folder / "litellm_core_utils" / "tokenizers"
        if (files / sha1(VOCABULARY_URL.encode()).hexdigest()).is_file():
            from tiktoken import get_encoding

            os.environ["TIKTOKEN_CACHE_DIR"] = str(files)  # as litellm itself does
            return get_encoding(VOCABULARY)
    return None
