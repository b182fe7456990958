"""Whether ads may stand beside an answer, and whether somebody may want to buy: words of ads.toml, in microseconds.

Only the two answers leave this module: what a query is about is not kept. Neither answer ever reaches routing; a test
holds that the tier is the same without this file.
"""

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from string import digits as DIGITS
from typing import Any

from router.conversation.phrases import words_of

TURNS_READ = 3  # a follow-up is about what the turns before it were about
LONGEST_READ = 1_500
LEAST_STEM = 3
FIRST_UNSPACED = "\u0e00"  # from here on: Thai, kana, Chinese characters and other scripts without spaces
SENSITIVE, COMMERCIAL = 1, 2


@dataclass(frozen=True, slots=True)
class AdView:
    """What is known of a query as a place for ads; a sensitive one has none, whatever it could sell."""

    is_sensitive: bool
    is_commercial: bool


class AdLexicon:
    """Everything in ads.toml, laid out for looking up: words, beginnings of words, phrases, texts found anywhere."""

    def __init__(self, tables: Mapping[str, Any]) -> None:
        self._words: dict[str, int] = {}
        self._stems: dict[str, list[tuple[str, int]]] = {}
        self._phrases: dict[str, list[tuple[list[str], int]]] = {}
        self._contained: list[tuple[str, int]] = []
        self._said: list[tuple[re.Pattern[str], int]] = []
        for table in tables.get("sensitive", {}).values():
            self._take(table, SENSITIVE)
        self._take(tables.get("commercial", {}), COMMERCIAL)

    def view(self, texts: Iterable[str]) -> AdView:
        """Read what the user said last."""
        text = "\n".join(text[-LONGEST_READ:] for text in texts)[-LONGEST_READ:].casefold().replace("’", "'")
        kinds = self._in_words(words_of(text))
        if not text.isascii() and max(text) >= FIRST_UNSPACED:
            for part, what in self._contained:
                kinds |= what if part in text else 0
        if any(map(text.__contains__, DIGITS)):
            for pattern, what in self._said:
                kinds |= what if pattern.search(text) else 0
        return AdView(bool(kinds & SENSITIVE), bool(kinds & COMMERCIAL))

    def _in_words(self, words: Sequence[str]) -> int:
        kinds, distinct = 0, set(words)
        for word in distinct & self._words.keys():
            kinds |= self._words[word]
        for word in distinct:
            for stem, what in self._stems.get(word[:LEAST_STEM], ()):
                kinds |= what if word.startswith(stem) else 0
        for first in distinct & self._phrases.keys():
            for phrase, what in self._phrases[first]:
                kinds |= what if _is_within(phrase, words) else 0
        return kinds

    def _take(self, table: Mapping[str, Any], what: int) -> None:
        for key, entries in table.items():
            if key == "contained":
                self._contained += [(part, what) for part in entries]
            elif key == "ages":
                self._said.append((re.compile(entries), what))
            else:
                for entry in entries.split():
                    self._take_entry(entry, what)

    def _take_entry(self, entry: str, what: int) -> None:
        stem = entry.removesuffix("*")
        if "-" in stem:
            phrase = stem.split("-")
            self._phrases.setdefault(phrase[0], []).append((phrase, what))
        elif stem == entry:
            self._words[entry] = self._words.get(entry, 0) | what
        elif len(stem) < LEAST_STEM:
            raise ValueError(f"{entry}: a stem has at least {LEAST_STEM} letters")
        else:
            self._stems.setdefault(stem[:LEAST_STEM], []).append((stem, what))


def _is_within(phrase: list[str], words: Sequence[str]) -> bool:
    return any(words[place : place + len(phrase)] == phrase for place in range(len(words)))


@cache
def load_lexicon() -> AdLexicon:
    """Load the lexicon of ads.toml."""
    return AdLexicon(tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8")))


def last_user_texts(messages: Sequence[Mapping[str, Any]], turns: int = TURNS_READ) -> list[str]:
    """The texts of the last user turns, oldest first."""
    texts: list[str] = []
    for message in reversed(messages):
        if message.get("role") == "user":
            texts.append(_text(message.get("content")))
            if len(texts) == turns:
                break
    return texts[::-1]


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else ()
    return "\n".join(part["text"] for part in parts if isinstance(part, Mapping) and isinstance(part.get("text"), str))
