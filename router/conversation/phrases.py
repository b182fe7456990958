"""What people say when they follow up, push back, give thanks or change the subject: phrases.toml, compiled.

A leaf, read once at import. Everything is matched against case-folded text with plain apostrophes.
"""

import re
import tomllib
from collections.abc import Iterable
from pathlib import Path

_LANGUAGES = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
_SEPARATORS = re.compile(r"[\s\u2000-\u206f!-&(-/:-@\[-`{-~¿¡«»…、。！？，；：「」『』（）।॥؟،؛]+")

_ASCII_SPACES = bytes(32 if _SEPARATORS.fullmatch(chr(code)) else code for code in range(256))


def words_of(text: str) -> list[str]:
    """Split at spaces and punctuation; emoji and other signs are no words."""
    if text.isascii():
        words = text.encode().translate(_ASCII_SPACES).decode().split()
        return [word for word in words if word != "'"] if "'" in words else words
    return [word for word in _SEPARATORS.split(text) if word[:1].isalnum() or word[-1:].isalnum()]


def _all(key: str) -> Iterable[str]:
    return (entry for language in _LANGUAGES.values() for entry in language.get(key, ()))


def _literally(*keys: str) -> str:
    phrases = {" ".join(words_of(phrase)) for key in keys for phrase in _all(key)}
    return "|".join(re.escape(phrase) for phrase in sorted(phrases, key=len, reverse=True))


def _either(key: str) -> str:
    return "|".join(_all(key))


def _words(key: str) -> frozenset[str]:
    return frozenset(word for language in _LANGUAGES.values() for word in words_of(language.get(key, "")))


_POLITE = (
    r"(?:(?:ok|okay|thanks|thank you|great|cool|nice|perfect|good|right|alright|yes|well|so"
    r"|danke|gracias|merci|grazie|obrigad[oa])"
    r"[\s,.!]+){0,3}"
)
_UNSPACED = "|".join(_LANGUAGES["zh"]["leaning"] + _LANGUAGES["ja"]["leaning"])

LIGHT = _words("light")
FRESH = _words("fresh")
REQUEST = _words("request")
NO = frozenset(_all("no"))
# These two are matched against the words of a whole message, joined by spaces.
THANKS = re.compile(rf"(?:(?:{_literally('thanks', 'acknowledged')})(?: |$))+")
ACKNOWLEDGED = re.compile(rf"(?:(?:{_literally('acknowledged')})(?: |$))+")
PUSHBACK = re.compile(_either("pushback"))
TOPIC_CHANGE = re.compile(rf"{_POLITE}(?:{_either('change')})")
LEANING = re.compile(rf"(?:^|[.!?:;]\s+){_POLITE}(?:(?:{_literally('leaning')})(?=[\s,?…]|$)|{_UNSPACED})")
ANAPHORA = re.compile(_either("anaphora"))
BARE = re.compile(rf"(?:那|那么|就|请|請|好的?|嗯|じゃあ|では)?[，,、]?(?:{_either('bare')})[？?。！!～~…\s]*")
