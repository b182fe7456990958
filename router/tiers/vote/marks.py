"""Where a text marks its final answer: boxed, after "Answer:" or "the answer is" in many languages, after "####". Pure.

Every search goes over the text once: the time is linear in its length.
"""

import re

from router.tiers.vote.words import LEXICON

LONGEST_LINE = 600
LONGEST_BOX = 1000
MOST_TRIES = 64  # words that might be marks are looked at from the end

_WORDS = tuple(" ".join(word.split()) for word in LEXICON["marks"]["words"].split(",") if word.strip())
_ASCII_WORDS = tuple(word for word in _WORDS if word.isascii())
_IS = [word.strip() for word in LEXICON["marks"]["is"].split(",")]
_VERB = "|".join(
    [*(rf"\s{{1,8}}{re.escape(w)}(?!\w)" for w in _IS if w[0] < "\u0590"), *(w for w in _IS if w[0] >= "\u0590")]
)
_COLON = re.compile(r"[*_ \t]{0,8}(?:\([^()\n]{0,20}\))?[*_ \t]{0,8}[:=：]")
_SAID = re.compile(
    rf"(?:\s(?:to|of|for|auf|à|a|alla|op|na|на)\s[^.\n]{{1,60}}?)?[*_]{{0,3}}(?:{_VERB}|\s{{0,8}}(?:[:=：]|[은는이は]\s))"
    r"\s{0,8}[:：]?\s{0,20}",
    re.IGNORECASE,
)
_UNSPACED = re.compile("[\u0e00-\u0eff\u2e80-\u9fff\uac00-\ud7af]")
_BEFORE = re.compile(r"[ \t>*#_\-•]*(?:(?:final|correct|my|the|so the)\s)?$", re.IGNORECASE)
_END = re.compile(r"(?<=[^\d\s.])[.!?](?=\s|$)|(?<=\d)\.(?=\s|$)|(?<=[.!?])\s|[。！？]")
_ABBREVIATED = re.compile(
    r"(?:^|[\s(])(?:dr|mr|mrs|ms|prof|st|jr|sr|vs|no|nr|bzw|ca|approx|e\.g|i\.e|[ap]\.m|[a-z]|u\.s|inc|ltd|jan|feb|mar|apr|jun"
    r"|jul|aug|sept?|oct|nov|dec|\d{1,2})$",
    re.IGNORECASE,
)


def find_marked_answer(text: str) -> str | None:
    """Return the answer that the text marks as its final one, None when it marks none."""
    boxed, line = _last_boxed(text), _last_line(text)
    if boxed is not None and (line is None or boxed[0] >= line[0]):
        return boxed[1]
    if line is None:
        return None
    if inner := _last_boxed(line[1]):
        return inner[1]
    return line[1].strip() or None


def sentence(text: str) -> str:
    """Cut at the end of the sentence, which is no point inside a number or an abbreviation."""
    for match in _END.finditer(text):
        if text[match.start()] == "." and _ABBREVIATED.search(text[max(0, match.start() - 12) : match.start()]):
            is_day = text[max(0, match.start() - 2) : match.start()].strip().isdigit()
            rest = text[match.end() : match.end() + 12].strip()
            if not is_day or (rest and re.match(r"[^\W\d_]+\s", rest) and not rest[:1].isupper()):
                continue
            if is_day and re.match(r"[A-ZÄÖÜ][a-zäöü]+ \d{4}", text[match.end() :].lstrip()):
                continue
        elif match[0].isspace() and _ABBREVIATED.search(text[max(0, match.start() - 13) : match.start() - 1]):
            continue
        return text[: match.start()]
    return text


def _last_line(text: str) -> tuple[int, str] | None:
    """Return where the last line or sentence that marks an answer does so, and what stands behind the mark."""
    lowered = text.replace("İ", "I").lower()
    best: tuple[int, str] | None = None
    at = text.rfind("####")
    if at >= 0 and not text[text.rfind("\n", 0, at) + 1 : at].strip():
        rest = _line(text, at + 4).strip()
        best = (at, rest) if rest else None
    for word in _ASCII_WORDS if text.isascii() else _WORDS:
        start = lowered.rfind(word, 0 if best is None else best[0] + 1)
        for _ in range(MOST_TRIES):
            if start < 0:
                break
            if (found := _behind(text, lowered, start, word)) is not None:
                best = found
                break
            start = lowered.rfind(word, 0 if best is None else best[0] + 1, start)
    return best


def _behind(text: str, lowered: str, start: int, word: str) -> tuple[int, str] | None:
    """Return what a mark in this line says, the first mark of the line if there are several."""
    line_start = _line_start(text, start)
    if (first := lowered.find(word, line_start, start)) >= 0:
        earlier = _answer_at(text, first, word, line_start)
        if earlier is not None:
            return earlier
    return _answer_at(text, start, word, line_start)


def _answer_at(text: str, start: int, word: str, line_start: int) -> tuple[int, str] | None:
    end = start + len(word)
    is_spaced = not _UNSPACED.match(word)
    if is_spaced and ((start and text[start - 1].isalnum()) or text[end : end + 1].isalnum()):
        return None
    is_first = line_start == 0 or text[line_start - 1] == "\n"
    if is_first and _BEFORE.fullmatch(text[line_start:start]) and (match := _COLON.match(text, end)):
        rest = _line(text, match.end()).strip("*_ \t")
        if not rest:
            after = match.end() + len(_line(text, match.end())) + 1
            rest = _line(text, after).strip() or _line(text, after + len(_line(text, after)) + 1).strip()
        return (start, rest) if rest else None
    if word in ("final", "ans"):
        return None
    if match := _SAID.match(text, end):
        rest = _line(text, match.end())
        return (start, sentence(rest)) if rest.strip() else None
    return None


def _line_start(text: str, start: int) -> int:
    """Return where the line begins, or as far back as is looked."""
    at = text.rfind("\n", max(0, start - LONGEST_LINE), start)
    return at + 1 if at >= 0 else max(0, start - LONGEST_LINE)


def _line(text: str, start: int) -> str:
    end = text.find("\n", start, start + LONGEST_LINE)
    return text[start : end if end >= 0 else start + LONGEST_LINE]


def _last_boxed(text: str) -> tuple[int, str] | None:
    start = max(text.rfind("\\boxed"), text.rfind("\\fbox"))
    if start < 0:
        return None
    begin = text.find("{", start, start + 40) + 1
    if not begin or text[start + len("\\fbox") : begin - 1].strip().strip("ed"):
        return None
    depth = 1
    for at in range(begin, min(len(text), begin + LONGEST_BOX)):
        depth += (text[at] == "{") - (text[at] == "}")
        if depth == 0:
            return start, text[begin:at]
    return None
