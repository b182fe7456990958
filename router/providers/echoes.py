"""A provider's words made fit for a log: without secrets, without addresses' queries, without the prompt. Pure.

Providers quote what they complain about. A word stays only where the request's text does not hold it, where it is one
of the words that complaints are made of, or where it belongs to the model's name; what is left out is `…`.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

LONGEST_WORDS = 200  # characters of a provider's words
LONGEST_HEARD = 2_000  # characters of them that are looked at
IN_A_ROW = 3  # words that stand in the prompt as they do here are a quotation, whatever words they are

# Of these the words of complaints are made; that a prompt holds them too tells nothing of the prompt.
_USUAL_WORDS = """
a about above access account accepted after again all allowed already an and another answer any api are as at
authentication available bad balance be been before billing body busy but by call calls can cannot capacity
check code completion connection content context could count credentials credit credits current currently
deployment did disabled do does down due each either empty enabled error errors exceed exceeded exceeds exist
expected failed failure field file filter first for format found from full function gateway got had has have
header higher hour image images in input internal invalid is it its json key know later length less limit limited
limits long longer lower made many max maximum may message messages method minimum minute missing model models more
most must my name need needs no not null number object of on one only operation or organization other our out output
over overloaded parameter parse per permission plan please policy prompt property provide provided provider quota
raised rate reached reason received reduce refused region rejected remaining request requested requests required
resource response result retry role safety schema seconds see sent server service set should size so some string
supported system temporarily than that the their there this tier time timeout to token tokens too tool tools try
type unable unavailable unexpected unknown unsupported until upgrade upstream usage use used user using valid value
violates was we were when which while will with within without would wrong you your
"""
USUAL = frozenset(_USUAL_WORDS.split())
_TOKEN = re.compile(r"\w+")
_QUERY = re.compile(r"(https?://[^\s?#\"'<>]*)[?#][^\s\"'<>]*")
_USERINFO = re.compile(r"(https?://)[^\s/@\"'<>]*@")
_WIDE = re.compile(r"[^\x00-\u02ff]{2}")  # scripts that put no spaces between words are looked at letter by letter
_LEFT_OUT = re.compile(r"…(?:[\W_]*…)+")


def cut_echoes(words: str, texts: Iterable[str], names: Iterable[str] = ()) -> str:
    """Return a provider's words on one line and cut, without what a request's texts hold; `names` are of our own."""
    read = _USERINFO.sub(r"\1", _QUERY.sub(r"\1", " ".join(words[:LONGEST_HEARD].split())))
    ours = {token.lower() for name in names for token in _TOKEN.findall(name)} | USUAL
    text = " ".join("\n".join(texts).lower().split())
    found = list(_TOKEN.finditer(read))
    quoted = _find_quotations(read.lower(), found, text)
    kept, end = [], 0
    for place, match in enumerate(found):
        kept += [read[end : match.start()], "…" if place in quoted else _keep(match.group(), text, ours)]
        end = match.end()
    said = _LEFT_OUT.sub("…", "".join([*kept, read[end:]])).strip()
    return said if len(said) <= LONGEST_WORDS else said[: LONGEST_WORDS - 1].rstrip() + "…"


def _find_quotations(read: str, found: Sequence[re.Match[str]], text: str) -> set[int]:
    """Return the places of words that stand in a row as they do in the text: usual words too make a sentence."""
    quoted: set[int] = set()
    for first in range(len(found) - IN_A_ROW + 1):
        if read[found[first].start() : found[first + IN_A_ROW - 1].end()] in text:
            quoted.update(range(first, first + IN_A_ROW))
    return quoted


def _keep(token: str, text: str, ours: Collection[str]) -> str:
    lowered = token.lower()
    if lowered in ours:
        return token
    if _WIDE.search(token):
        pairs = [at for at in range(len(token) - 1) if lowered[at : at + 2] in text]
        shared = {at + step for at in pairs for step in (0, 1)}
        return "".join("…" if at in shared else letter for at, letter in enumerate(token))
    return "…" if lowered in text else token


def texts_of(*parts: Any) -> Iterator[str]:
    """Yield every text in messages and parameters, keys included: tools name what they are for."""
    for part in parts:
        if isinstance(part, str):
            yield part
        elif isinstance(part, dict):
            yield from texts_of(*part.keys(), *part.values())
        elif isinstance(part, list | tuple):
            yield from texts_of(*part)
        elif isinstance(part, int | float) and not isinstance(part, bool):
            yield str(part)
