"""Vote keys: what a sample's text answers, in a spelling that equal answers share. Pure.

What cannot be extracted has no key: it costs and never votes. Nothing generated is executed. A key is found by the
form of the answer first (a date is a date whatever the classifier thought); the answer type decides what is read
where no final answer is marked.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from classifier.types import AnswerType
from router.providers.base import Choice
from router.tiers.vote.amounts import LAST_NUMBER, amount, plain
from router.tiers.vote.asides import aside_of
from router.tiers.vote.dates import date_key, last_date
from router.tiers.vote.programs import program_key
from router.tiers.vote.readings import Said
from router.tiers.vote.structures import json_key, tools_key

LONGEST_ANSWER = 120


@dataclass(frozen=True, slots=True)
class VoteKey:
    """What a vote is counted by. `bare` joins "18" to "18 hours"; maths keys are equal only after Math-Verify."""

    kind: str  # number | date | choice | entity | maths | formula | json | tools | code
    value: str
    bare: str = field(default="", compare=False)

    @property
    def is_maths(self) -> bool:
        """Tell whether equality needs a computer algebra system."""
        return self.kind == "maths"


@dataclass(frozen=True, slots=True)
class Asked:
    """What is known of the question when answers are read. `options` maps letters to what stands beside them.

    `schema` is the one of `response_format`, `tools` the parameter schemas by function name.
    """

    answer_type: AnswerType
    question: str = ""
    options: Mapping[str, str] | None = None
    wants_json: bool = False
    day_first: bool = False
    schema: dict[str, Any] | None = None
    tools: Mapping[str, dict[str, Any]] | None = None


def read_question(answer_type: AnswerType, messages: Sequence[Mapping[str, Any]], params: Mapping[str, Any]) -> Asked:
    """Read from a request what matters for its answers."""
    question = next((text_of(m.get("content")) for m in reversed(messages) if m.get("role") == "user"), "")
    form = params.get("response_format")
    wants_json = isinstance(form, Mapping) and form.get("type") in ("json_object", "json_schema")
    functions = [t["function"] for t in params.get("tools") or () if isinstance(t.get("function"), Mapping)]
    return Asked(
        AnswerType.JSON if wants_json else answer_type,
        question,
        _options(question),
        wants_json,
        day_first=bool(re.search(r"\bDD[-/.]MM", question)),
        schema=(form.get("json_schema") or {}).get("schema") if isinstance(form, Mapping) else None,
        tools={f.get("name", ""): f.get("parameters") or {} for f in functions} or None,
    )


def text_of(content: object) -> str:
    """Return the text of a message's content, which may be a list of parts."""
    if isinstance(content, str):
        return content
    if isinstance(content, Sequence):
        return "\n".join(str(p.get("text") or "") for p in content if isinstance(p, Mapping))
    return ""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a sample says, with its vote key where it has one."""

    said: Said
    key: VoteKey | None = None


UNREADABLE = Reading(Said.UNREADABLE)
CLOSED = frozenset({AnswerType.NUMERIC, AnswerType.CHOICE, AnswerType.DATE, AnswerType.ENTITY})


def vote_key(choice: Choice, question: Asked) -> VoteKey | None:
    """Return what a sample votes for, None when that cannot be told or it does not answer."""
    return read_sample(choice, question).key


def read_sample(choice: Choice, question: Asked) -> Reading:
    """Tell what a sample says: an answer with its key, or why it has none."""
    if choice.tool_calls:
        value = tools_key(choice.tool_calls)
        return _reading(VoteKey("tools", value) if value else None)
    if choice.refusal or choice.finish_reason == "content_filter":
        return Reading(Said.REFUSAL)
    text, is_whole = choice.content or "", choice.finish_reason != "length"
    if not text.strip():
        return Reading(Said.NON_ANSWER)
    match question.answer_type:
        case AnswerType.JSON:
            value = json_key(text) if is_whole else None
            return Reading(Said.ANSWER, VoteKey("json", value)) if value else _without_key(text, question, is_whole)
        case AnswerType.CODE:
            value = program_key(text) if is_whole else None
            return Reading(Said.ANSWER, VoteKey("code", value)) if value else _without_key(text, question, is_whole)
        case _:
            return _read_text(text, question, is_whole)


def _read_text(text: str, question: Asked, is_whole: bool) -> Reading:
    is_closed = question.answer_type in CLOSED
    if (final := find_marked_answer(text)) is not None:
        key = answer_key(final, question)
        if key is not None and key.kind != "entity":
            return Reading(Said.ANSWER, key)
        if aside := aside_of(final, question.question, is_closed=is_closed):
            return Reading(aside.said)
        return _reading(key)
    if not is_whole:
        return Reading(Said.UNREADABLE if question.answer_type is AnswerType.OPEN else Said.NON_ANSWER)
    aside = aside_of(text, question.question, is_closed=is_closed)
    if aside is not None and not aside.guesses:
        return Reading(aside.said)
    key = _unmarked_key(text, question)
    if aside is not None and (key is None or key.kind == "entity"):
        return Reading(aside.said)
    return _reading(key)


def _without_key(text: str, question: Asked, is_whole: bool) -> Reading:
    """Say of a text without the JSON or the program that was asked for what it is instead."""
    aside = aside_of(text, question.question, is_closed=False)
    if aside is not None:
        return Reading(aside.said)
    return UNREADABLE if is_whole else Reading(Said.NON_ANSWER)


def _reading(key: VoteKey | None) -> Reading:
    return Reading(Said.ANSWER, key) if key else UNREADABLE


def _unmarked_key(text: str, question: Asked) -> VoteKey | None:
    is_short = len(text.strip()) <= 60 and "\n" not in text.strip()
    key = answer_key(text, question) if is_short else None
    if key is None or key.kind == "entity":
        is_name = question.answer_type is not AnswerType.OPEN and len(text.split()) <= 6
        return _read_unmarked_answer(text, question) or (key if is_name else None)
    return key


_BOXED = re.compile(r"\\(?:boxed|fbox)\s*\{")
_MARKS = re.compile(
    r"(?:^|\n)[ \t>*#_-]*(?:final\s+answer|final|answer|ans)[*_ \t]*(?:\(.{0,20}\))?\s*[:=]"
    r"[*_]*[ \t]*\n?(?P<line>[^\n]+)"
    r"|\banswer(?:\s+to\s+[^.\n]{1,60}?)?\s*(?:is|would\s+be|:|=)\s*:?\s*(?P<said>[^\n]+)"
    r"|(?:^|\n)\s*####\s*(?P<hashes>[^\n]+)",
    re.IGNORECASE,
)


def find_marked_answer(text: str) -> str | None:
    """Return the answer that the text marks as its final one: boxed, after "Answer:", "the answer is" or "####"."""
    match = None
    for match in _MARKS.finditer(text):  # noqa: B007
        pass
    boxed = _last_boxed(text)
    if boxed is not None and (match is None or boxed[0] >= match.start()):
        return boxed[1]
    if match is None:
        return boxed[1] if boxed else None
    answer = match["line"] or match["hashes"] or _sentence(match["said"])
    if inner := _last_boxed(answer):
        return inner[1]
    return answer.strip() or None


def answer_key(answer: str, question: Asked) -> VoteKey | None:
    """Return the key of a short final answer by its form."""
    answer = _strip_markup(answer)
    if not answer or len(answer) > LONGEST_ANSWER or answer.casefold() in _NOTHING:
        return None
    if date := date_key(answer, day_first=question.day_first):
        return VoteKey("date", date)
    if question.options and (letter := _choice(answer, question.options)):
        return VoteKey("choice", letter)
    if word := _YES_NO.get(answer.casefold().rstrip(".!")):
        return VoteKey("choice", word)
    if question.answer_type is AnswerType.CHOICE:
        if letter := _choice(answer, {}):
            return VoteKey("choice", letter)
        if opening := _OPENING.match(answer):
            return VoteKey("choice", _YES_NO[opening[1].casefold()])
    is_numeric = question.answer_type is AnswerType.NUMERIC
    if formula := _formula(answer, question):
        return VoteKey("formula", formula)
    value = _right_side(answer)
    if read := amount(value, any_unit=is_numeric):
        return VoteKey("number", read.canonical, read.bare)
    if _looks_like_maths(value, is_numeric):
        return VoteKey("maths", re.sub(r"\s+", "", value))
    entity = _entity(answer)
    return VoteKey("entity", entity) if entity else None


_YES_NO = {
    "yes": "yes", "true": "yes", "no": "no", "false": "no", "correct": "yes", "incorrect": "no",
    "uncertain": "uncertain", "unknown": "uncertain", "cannot be determined": "uncertain",
}  # fmt: skip
_NOTHING = frozenset(("none", "n/a", "null", "nan", "error", "i don't know", "i do not know"))
_LETTER = re.compile(r"^(?:option|choice|answer)?\s*[(\[]?\s*([A-Za-z])\s*(?:[)\].:,-].*)?$", re.IGNORECASE | re.DOTALL)
_OPTION = re.compile(r"(?:^|[\n\s])\(?([A-J])[).:]\s+(.+?)(?=\s+\(?[A-J][).:]\s|\n|$)")
_OPENING = re.compile(r"^\W*(yes|no|true|false)\b", re.IGNORECASE)
_LETTER_IN_LINE = re.compile(r"\(([A-J])\)|\b(?:option|choice)\s+\(?([A-J])\b|(?:^|\s)\**([A-J])(?:[.)]\**\s*$|\**$)")


def _read_unmarked_answer(text: str, question: Asked) -> VoteKey | None:
    """Read the answer of a text that does not mark it, as far as its type allows."""
    last_line = next((line for line in reversed(text.splitlines()) if line.strip()), "")
    match question.answer_type:
        case AnswerType.NUMERIC:
            if numbers := LAST_NUMBER.findall(plain(last_line)) or LAST_NUMBER.findall(plain(text)):
                read = amount(numbers[-1], any_unit=True)
                return VoteKey("number", read.canonical, read.bare) if read else None
        case AnswerType.DATE:
            if date := last_date(text, day_first=question.day_first):
                return VoteKey("date", date)
        case AnswerType.CHOICE:
            if letters := _LETTER_IN_LINE.findall(last_line):
                return VoteKey("choice", "".join(letters[-1]).upper())
            if word := _OPENING.match(text):
                return VoteKey("choice", _YES_NO[word[1].casefold()])
        case _:
            pass
    return None


def _last_boxed(text: str) -> tuple[int, str] | None:
    starts = list(_BOXED.finditer(text))
    if not starts:
        return None
    depth, begin = 1, starts[-1].end()
    for at in range(begin, min(len(text), begin + 1000)):
        depth += (text[at] == "{") - (text[at] == "}")
        if depth == 0:
            return starts[-1].start(), text[begin:at]
    return None


def _sentence(text: str) -> str:
    """Cut at the end of the sentence, which is no point inside a number or an abbreviation."""
    return re.split(r"(?<=[^\d\s.])[.!?](?=\s|$)|(?<=\d)\.(?=\s|$)|(?<=[.!?])\s", text, maxsplit=1)[0]


def _strip_markup(answer: str) -> str:
    answer = unicodedata.normalize("NFKC", answer).strip()
    answer = re.sub(r"^\\[(\[]|\\[)\]]$", "", answer.strip("*_`$ \t\"'“”")).strip("*_`$ \t\"'“”")
    return re.sub(r"^\\(?:text|textbf|mathrm)\{([^{}]*)\}$", r"\1", answer).rstrip(".;, ")


def _options(question: str) -> dict[str, str] | None:
    options = {letter.upper(): text.strip() for letter, text in _OPTION.findall(question)}
    return options if len(options) >= 2 and "A" in options else None


def _choice(answer: str, options: Mapping[str, str]) -> str | None:
    if match := _LETTER.match(answer):
        letter = match[1].upper()
        if letter in options or (not options and letter <= "J"):
            return letter
    folded = _entity(answer)
    return next((letter for letter, text in options.items() if folded and _entity(text) == folded), None)


def _formula(answer: str, question: Asked) -> str | None:
    """Take the left side of an equation whose value the question names already: there the formula is the answer."""
    left, equals, right = answer.rpartition("=")
    if equals and re.fullmatch(r"[-+*/×÷() \d.]*\d\D*[-+*/×÷][-+*/×÷() \d.]*", left):
        read = amount(right, any_unit=True)
        if read and re.search(rf"(?<![\d.]){re.escape(read.bare)}(?!\d|\.\d)", question.question):
            return re.sub(r"\s+", "", left)
    return None


def _right_side(answer: str) -> str:
    left, equals, right = answer.rpartition("=")
    is_named = re.fullmatch(r"\s*[\w\\()'^{} ]{1,20}\s*", left) or re.search(r"\d\s*[-+*/×÷]", left)
    return right.strip() if equals and is_named else answer


def _looks_like_maths(answer: str, is_numeric: bool) -> bool:
    words = re.findall(r"(?<!\\)(?<![a-z\\])[a-z]{3,}", re.sub(r"\\[a-zA-Z]+", "", answer), re.IGNORECASE)
    if words and not all(w in ("sin", "cos", "tan", "log", "exp", "sqrt") for w in words):
        return False
    if re.search(r"\\[a-zA-Z]+|\^|_\{", answer):
        return True
    return bool(re.search(r"[-+*/=()\[\]]", answer) and re.search(r"\d|^[a-z]\b", answer)) or (
        is_numeric and bool(re.fullmatch(r"-?\d*\s*[a-z]", answer))
    )


def _entity(text: str) -> str:
    folded = unicodedata.normalize("NFKD", text.casefold())
    folded = "".join(c for c in folded if not unicodedata.combining(c))
    folded = re.sub(r"[^\w\s+#%/&.-]", " ", folded)
    return re.sub(r"^(?:the|a|an)\s+|[\s.-]+$", "", re.sub(r"\s+", " ", folded).strip())
