"""Which language a text is in, guessed from its script, its commonest words and its letters, in microseconds.

Reports group requests by it, and a turn in another language than the one before may still lean on it. It is a guess,
and says nothing (None) where little speaks for one language: better no language than a wrong one. The languages are
those of language.toml and the scripts below.
"""

import re
import tomllib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from router.conversation.phrases import words_of

LONGEST_READ = 400
LONGEST_OF_SCRIPT = 150
LEAST_HITS = 2
LEAST_SHARE = 0.12  # of the words: a page of code has a few words of every language
LEAST_LETTERS = 2

_LANGUAGES = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
_OF_WORD: dict[str, list[str]] = {}
_OF_LETTER: dict[str, list[str]] = {}
for _name, _known in _LANGUAGES.items():
    for _word in set(_known["words"].split()):
        _OF_WORD.setdefault(_word, []).append(_name)
    for _letter in _known.get("letters", ""):
        _OF_LETTER.setdefault(_letter, []).append(_name)
# Scripts by blocks of 128 characters; where one writes several languages, letters that only the others have decide.
_SCRIPTS = {
    **dict.fromkeys((0x0370 >> 7, 0x0380 >> 7), "el"),
    **dict.fromkeys((0x0400 >> 7, 0x0480 >> 7, 0x0500 >> 7), "ru"),
    0x0580 >> 7: "he",
    **dict.fromkeys((0x0600 >> 7, 0x0680 >> 7), "ar"),
    0x0900 >> 7: "hi",
    0x0980 >> 7: "bn",
    0x0B80 >> 7: "ta",
    0x0C00 >> 7: "te",
    0x0E00 >> 7: "th",
    **dict.fromkeys((0x3040 >> 7, 0x3080 >> 7), "ja"),
    **dict.fromkeys(range(0x4E00 >> 7, 0xA000 >> 7), "zh"),
    **dict.fromkeys(range(0xAC00 >> 7, 0xD7B0 >> 7), "ko"),
}
_NOT_LATIN = re.compile("[^\x00-\u024f\u1e00-\u1eff\u2000-\u303f\ufe00-\uffff]")
_LATIN = re.compile("[a-z]")
_OTHERS = {
    "ru": {"uk": "іїєґ", "bg": "ъ"},
    "ar": {"ur": "ٹڈےہ", "fa": "پچژگ"},
}
_NOT_IN_BULGARIAN = frozenset("ыэё")


def guess(text: str) -> str | None:
    """The ISO 639-1 code of the language; None where it cannot be told."""
    read = text[:LONGEST_READ].casefold()
    if not read.isascii() and (script := _by_script(read)):
        return script
    words = words_of(read)
    hits: dict[str, int] = {}
    for names in filter(None, map(_OF_WORD.get, words)):
        for name in names:
            hits[name] = hits.get(name, 0) + 1
    if not read.isascii():
        for letter in set(read):
            for name in _OF_LETTER.get(letter, ()):
                hits[name] = hits.get(name, 0) + 1
    most = max(hits.values(), default=0)
    best = [name for name, count in hits.items() if count == most]
    return best[0] if len(best) == 1 and most >= max(LEAST_HITS, LEAST_SHARE * len(words)) else None


def guess_of_turns(texts: Sequence[str]) -> str | None:
    """Guess the language of a conversation: of its last turn or, where that does not tell, of all turns together."""
    latest = guess(texts[-1]) if texts else None
    return latest or (guess("\n".join(texts)) if len(texts) > 1 else None)


def _by_script(text: str) -> str | None:
    """The language of a script that is not Latin, if most of the letters are of it."""
    text = text[:LONGEST_OF_SCRIPT]
    counts: Counter[str] = Counter()
    for block, count in Counter(ord(character) >> 7 for character in _NOT_LATIN.findall(text)).items():
        if block in _SCRIPTS:
            counts[_SCRIPTS[block]] += count
    if not counts:
        return None
    best, most = counts.most_common(1)[0]
    if best == "zh" and counts["ja"] >= LEAST_LETTERS:  # kana beside kanji
        best, most = "ja", most + counts["ja"]
    # A letter of these scripts says more than a Latin one: names and terms stay Latin everywhere.
    if most < LEAST_LETTERS or most * 3 < len(_LATIN.findall(text)):
        return None
    return _other(best, text)


def _other(name: str, text: str) -> str:
    letters = set(text)
    for other, own in _OTHERS.get(name, {}).items():
        if letters & set(own) and not (other == "bg" and letters & _NOT_IN_BULGARIAN):
            return other
    return name
