"""Vote keys: what a sample's text answers, in a spelling that equal answers share. Pure.

What does not answer has no key and never votes; what cannot be extracted costs and never votes. Nothing generated is
executed. A key is found by the form of the answer and by what the question asks for (a date is a date whatever the
classifier thought); the answer type decides what is read where no final answer is marked.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

from classifier.types import AnswerType
from router.providers.base import Choice
from router.tiers.vote.amounts import USUAL, NumberStyle, amount, last_amount, spell
from router.tiers.vote.asides import Aside, aside_of
from router.tiers.vote.choices import (
    choice_of,
    closing_verdict,
    letter_in,
    only_option_in,
    opening_verdict,
    read_options,
    verdict_of,
)
from router.tiers.vote.dates import date_key, last_date, last_time, time_key, weekday
from router.tiers.vote.marks import find_marked_answer
from router.tiers.vote.names import name_key, without_copula
from router.tiers.vote.programs import program_key
from router.tiers.vote.readings import Said
from router.tiers.vote.remarks import DENIES, answer_before_explanation, without_last_bracket, without_side_remark
from router.tiers.vote.series import bare_series_key, range_key, ratio_of, series_key, tidy
from router.tiers.vote.structures import json_key, tools_key
from router.tiers.vote.wanted import NOTHING, Wanted, read_wanted
from router.tiers.vote.words import even
from router.tiers.vote.zeros import counts_none

LONGEST_ANSWER = 240
LONGEST_NAME = 120
SHORT = 60  # characters of a text that is an answer as a whole


@dataclass(frozen=True, slots=True)
class VoteKey:
    """What a vote is counted by. `bare` joins "18" to "18 hours"; maths keys are equal only after Math-Verify.

    Kinds: number, date, time, range, choice, set, list, pair, interval, ratio, formula, maths, entity, json, tools,
    code.
    """

    kind: str
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
    wanted: Wanted = NOTHING


@dataclass(frozen=True, slots=True)
class SampleReading:
    """What a sample says, with its vote key where it has one."""

    said: Said
    key: VoteKey | None = None


ZERO = VoteKey("number", "0", "0")
UNREADABLE = SampleReading(Said.UNREADABLE)
CLOSED = frozenset({AnswerType.NUMERIC, AnswerType.CHOICE, AnswerType.DATE, AnswerType.ENTITY})
_MISTAKEN_FOR_OTHERS = frozenset({AnswerType.NUMERIC, AnswerType.FACTUAL, AnswerType.ENTITY})
_LOOSE = frozenset({AnswerType.OPEN, AnswerType.CHOICE})


def read_question(answer_type: AnswerType, messages: Sequence[Mapping[str, Any]], params: Mapping[str, Any]) -> Asked:
    """Read from a request what matters for its answers; a question that asks for a date is of that type."""
    question = next((text_of(m.get("content")) for m in reversed(messages) if m.get("role") == "user"), "")
    form = params.get("response_format")
    wants_json = isinstance(form, Mapping) and form.get("type") in ("json_object", "json_schema")
    functions = [t["function"] for t in params.get("tools") or () if isinstance(t.get("function"), Mapping)]
    wanted, options = read_wanted(question), read_options(question)
    if wants_json:
        answer_type = AnswerType.JSON
    elif (
        wanted.date
        and options is None
        and (answer_type in _MISTAKEN_FOR_OTHERS or (wanted.date_form and answer_type in _LOOSE))
        and not wanted.set
    ):
        answer_type = AnswerType.DATE
    return Asked(
        answer_type,
        question,
        options,
        wants_json,
        day_first=wanted.day_first,
        schema=(form.get("json_schema") or {}).get("schema") if isinstance(form, Mapping) else None,
        tools={f.get("name", ""): f.get("parameters") or {} for f in functions} or None,
        wanted=wanted,
    )


def text_of(content: object) -> str:
    """Return the text of a message's content, which may be a list of parts."""
    if isinstance(content, str):
        return content
    if isinstance(content, Sequence):
        return "\n".join(str(p.get("text") or "") for p in content if isinstance(p, Mapping))
    return ""


def vote_key(choice: Choice, question: Asked) -> VoteKey | None:
    """Return what a sample votes for, None when that cannot be told or it does not answer."""
    return read_sample(choice, question).key


def read_sample(choice: Choice, question: Asked) -> SampleReading:
    """Tell what a sample says: an answer with its key, or why it has none."""
    if choice.tool_calls:
        value = tools_key(choice.tool_calls)
        return _reading(VoteKey("tools", value) if value else None)
    if choice.refusal or choice.finish_reason == "content_filter":
        return SampleReading(Said.REFUSAL)
    text, is_whole = choice.content or "", choice.finish_reason != "length"
    if not text.strip():
        return SampleReading(Said.NON_ANSWER)
    match question.answer_type:
        case AnswerType.JSON:
            return _read_whole("json", json_key, text, question, is_whole)
        case AnswerType.CODE:
            return _read_whole("code", program_key, text, question, is_whole)
        case _:
            reading = _read_text(text, question, is_whole)
            return SampleReading(Said.NON_ANSWER) if _misses_date(reading.key, question) else reading


def answer_key(answer: str, question: Asked) -> VoteKey | None:
    """Return the key of a short final answer by its form."""
    style = _style_of(answer, question)
    answer = _strip_markup(answer)
    if (
        _PLAIN.fullmatch(answer)
        and question.options is None
        and style == USUAL
        and not question.wanted.ratio
        and question.answer_type is not AnswerType.CHOICE
    ):
        number = spell(Fraction(answer))
        return VoteKey("number", number, number)
    if not answer or len(answer) > LONGEST_ANSWER or answer.casefold() in _NOTHING:
        return None
    wanted = question.wanted
    if key := _choice_key(answer, question) or _calendar_key(answer, question):
        return key
    if value := _formula(answer, question):
        return VoteKey("formula", value)

    def part(text: str) -> str | None:
        return _part(text, question)

    is_numeric = question.answer_type is AnswerType.NUMERIC
    side = _right_side(answer)
    if not wanted.ratio and (read := amount(side, any_unit=is_numeric, style=style)):
        return VoteKey("number", read.canonical, read.bare)
    if series := series_key(side if "=" in answer else answer, wanted, part) or bare_series_key(answer, wanted, part):
        return VoteKey(*series)
    if spread := range_key(answer, lambda text: _point(text, question)):
        return VoteKey("range", spread)
    if wanted.ratio and (read := amount(side, any_unit=is_numeric, style=style)):
        return VoteKey("number", read.canonical, read.bare) if wanted.count else VoteKey("ratio", ratio_of(read.bare))
    if extreme := _EXTREMES.get(answer.casefold().strip("\\ ")):
        return VoteKey("entity", extreme)
    if question.answer_type is not AnswerType.DATE and _looks_like_maths(side, is_numeric):
        return VoteKey("maths", re.sub(r"\s+", "", side))
    if question.answer_type is AnswerType.DATE and _NO_NAME.fullmatch(answer):
        return None
    entity = name_key(answer, is_name=wanted.name) if len(answer) <= LONGEST_NAME else ""
    if _PLAIN.fullmatch(entity):
        return VoteKey("number", entity, entity)
    return VoteKey("entity", entity) if entity else None


_PLAIN = re.compile(r"-?\d{1,15}(?:\.\d{1,3})?")
_NO_NAME = re.compile(r"[\d/.\s-]+")  # 02/30/2021 is no date, and nothing else
_NOTHING = frozenset(("none", "n/a", "null", "nan", "error", "i don't know", "i do not know"))
_EXTREMES = {
    "infinity": "infinity", "∞": "infinity", "infty": "infinity", "unendlich": "infinity", "infini": "infinity",
    "infinito": "infinity", "infinitely many": "infinitely many", "infinite": "infinitely many",
    "infinitely many solutions": "infinitely many", "unendlich viele": "infinitely many",
    "no solution": "no solution", "no solutions": "no solution", "no real solution": "no solution",
    "no real solutions": "no solution", "keine lösung": "no solution", "aucune solution": "no solution",
    "sin solución": "no solution", "nessuna soluzione": "no solution", "sem solução": "no solution",
    "нет решений": "no solution", "无解": "no solution", "解なし": "no solution", "해가 없다": "no solution",
    "does not exist": "does not exist", "dne": "does not exist", "undefined": "does not exist", "∅": "no solution",
    "emptyset": "no solution", "vô nghiệm": "no solution", "brak rozwiązań": "no solution", "çözüm yok": "no solution",
}  # fmt: skip


_EXTREME_VALUES = frozenset(_EXTREMES.values())
_DIGIT = re.compile(r"\d")
_LETTER = re.compile(r"[^\W\d_]")


def _read_text(text: str, question: Asked, is_whole: bool) -> SampleReading:
    if (final := find_marked_answer(text)) is not None:
        if not is_whole and text[-1].isalnum() and text.endswith(final):  # "#### 4" may have been about to say 42
            return SampleReading(Said.NON_ANSWER)
        key = answer_key(final, question)
        if key is not None and key.kind != "entity" and not _misses_number(key, question):
            return SampleReading(Said.ANSWER, key)
        if key is None or key.value not in _EXTREME_VALUES:
            if aside := _aside(final, question):
                return _before_doubt(final, question) or SampleReading(aside.said)
            if within := _within_final(final, question):
                return SampleReading(Said.ANSWER, within)
        if key is not None or len(final) <= LONGEST_ANSWER:
            return SampleReading(Said.NON_ANSWER) if key and _misses_number(key, question) else _reading(key)
    if not is_whole:
        return SampleReading(Said.UNREADABLE if question.answer_type is AnswerType.OPEN else Said.NON_ANSWER)
    if question.answer_type is AnswerType.CHOICE and len(text) <= SHORT and verdict_of(text):
        return _reading(_choice_key(_strip_markup(text), question))
    aside = _aside(text, question)
    if aside is not None and not aside.guesses:
        return (_before_doubt(text, question) if len(text) <= SHORT else None) or SampleReading(aside.said)
    key = _key_before_explanation(text, question) or _key_of_text(text, question)
    if aside is not None and (key is None or key.kind == "entity"):
        return SampleReading(aside.said)
    if question.answer_type is AnswerType.NUMERIC and (key is None or _is_talk(key) or _misses_number(key, question)):
        is_zero = question.wanted.count and len(text) <= SHORT and counts_none(text, question.question)
        return SampleReading(Said.ANSWER, ZERO) if is_zero else SampleReading(Said.NON_ANSWER)
    return _reading(key)


def _within_final(final: str, question: Asked) -> VoteKey | None:
    """Read the number or the date of a final answer with words around it: "72 clips, since 48 + 24 = 72"."""
    is_date = question.answer_type is AnswerType.DATE
    if not (is_date or question.answer_type is AnswerType.NUMERIC) or DENIES.match(final):
        return None
    plain = without_side_remark(final)
    if plain != final and (key := answer_key(plain, question)) and key.kind != "entity":
        return key
    if not _DIGIT.search(plain) and is_date:
        return None
    if is_date:
        return _last_date_key(plain, question)
    side = plain.rpartition("=")[2] if "=" in plain else plain
    words = _strip_markup(side).split()[:4]
    if words and _DIGIT.search(words[0]) and not _CALCULATED.search(side):
        for count in range(len(words), 0, -1):
            if read := amount(" ".join(words[:count]), any_unit=True, style=_style_of(side, question)):
                return VoteKey("number", read.canonical, read.bare)
    key = None if _CALCULATED.search(side) else _key_within(side, question)
    return None if key is None or _misses_number(key, question) else key


_CALCULATED = re.compile(
    r"[\d)]\s*(?:[^\W\d_]+\s*)?[-+*/×÷^]\s*[\d$(]|\d[,\s]\s*\d|\s(?:or|oder|ou|o|of|lub|или)\s\$?\d"
)


def _key_before_explanation(text: str, question: Asked) -> VoteKey | None:
    """Read the first line of a text that goes on to explain it."""
    line = answer_before_explanation(text)
    key = None if line is None else answer_key(line, question)
    if line is not None and (key is None or key.kind == "entity") and _DIGIT.search(line):
        key = _key_within(line, question)
    return None if key is None or key.kind == "entity" else key


def _misses_date(key: VoteKey | None, question: Asked) -> bool:
    """Tell whether a question that names the form of its date is answered by something else, such as a year."""
    if key is None or not question.wanted.date_form or question.answer_type is not AnswerType.DATE:
        return False
    is_compact = key.kind == "number" and re.fullmatch(r"\d{8}", key.value) is not None
    return key.kind not in _DATED and not is_compact and key.value not in _EXTREME_VALUES


_DATED = frozenset(("date", "range", "time", "list", "set"))


_DOUBT = re.compile(
    r"\s*(?:[,;–—-]\s*(?:but|although|though|aber|mais|pero|mas|ma|maar|ale|но|ama|لكن|लेकिन)\b|[,，、]?\s*(?:但|でも|하지만)|\()",
    re.IGNORECASE,
)


def _before_doubt(text: str, question: Asked) -> SampleReading | None:
    """Read what stands before "but I am not sure", if it is more than words."""
    before = _DOUBT.split(text, maxsplit=1)[0]
    if before == text or len(before) > SHORT:
        return None
    key = answer_key(before, question)
    return SampleReading(Said.ANSWER, key) if key and key.kind != "entity" else None


def _read_whole(
    kind: str, read: Callable[[str], str | None], text: str, question: Asked, is_whole: bool
) -> SampleReading:
    """Read the JSON or the program that was asked for; of a text without it, what it is instead."""
    if is_whole and (value := read(text)):
        return SampleReading(Said.ANSWER, VoteKey(kind, value))
    if aside := aside_of(text, question.question, is_closed=False):
        return SampleReading(aside.said)
    return UNREADABLE if is_whole else SampleReading(Said.NON_ANSWER)


def _aside(text: str, question: Asked) -> Aside | None:
    return aside_of(text, question.question, is_closed=question.answer_type in CLOSED)


def _misses_number(key: VoteKey, question: Asked) -> bool:
    """Tell whether a question that asks how much is answered by a word."""
    if question.answer_type is not AnswerType.NUMERIC or not question.wanted.count:
        return False
    return _is_word(key) or (key.kind == "choice" and question.options is None)


def _is_talk(key: VoteKey) -> bool:
    """Tell whether a key is a sentence rather than a name."""
    is_long = key.value.count(" ") > 1 or (len(key.value) > 6 and not key.value.isascii() and " " not in key.value)
    return is_long and _is_word(key)


def _is_word(key: VoteKey) -> bool:
    """Tell whether a key is nothing but words."""
    return key.kind == "entity" and key.value not in _EXTREME_VALUES and not _DIGIT.search(key.value)


def _reading(key: VoteKey | None) -> SampleReading:
    return SampleReading(Said.ANSWER, key) if key else UNREADABLE


def _key_of_text(text: str, question: Asked) -> VoteKey | None:
    """Read the answer of a text that does not mark it, as far as its type allows."""
    stripped = text.strip()
    is_short = len(stripped) <= SHORT and "\n" not in stripped
    key = answer_key(text, question) if is_short else None
    if question.answer_type is AnswerType.DATE and (key is None or key.kind not in ("date", "range")):
        within = _key_within(stripped, question)
        return within or (None if key and key.kind == "entity" and not _may_name_a_day(key.value) else key)
    if key is None or key.kind == "entity" or (key.kind in ("set", "list") and _LETTER.search(key.value)):
        if within := _key_within(stripped, question):
            return within
        if question.answer_type in _WORDED and (told := _tells(stripped, question)):
            return answer_key(told, question)
        is_name = question.answer_type is not AnswerType.OPEN and len(stripped.split()) <= 6
        return key if is_name else None
    return key


def _may_name_a_day(name: str) -> bool:
    return len(name.split()) <= 6 and not re.search(r"\d\s?[/.-]\s?\d", name)


_WORDED = frozenset({AnswerType.FACTUAL, AnswerType.ENTITY})
_TELLS = re.compile(r"\s(?:is|was|are|were|ist|war|est|était|es|fue|é|foi|è|fu|jest|adalah|là)\s|は|是")
_WORD = re.compile(r"\w+")
_ARTICLES = frozenset(
    "the a an der die das le la les l el los las il lo o os as het de een un une una um uma of".split()  # noqa: SIM905
)


def _tells(text: str, question: Asked) -> str | None:
    """Return what a sentence tells of the very thing that was asked about: "The capital of France is Paris."."""
    if len(text) > 160 or "\n" in text or not (match := _TELLS.search(text)):
        return None
    subject = set(_WORD.findall(text[: match.start()].casefold())) - _ARTICLES
    told = text[match.end() :].strip()
    is_asked = subject and subject <= set(_WORD.findall(question.question[-2000:].casefold()))
    return told if is_asked and 0 < len(told.split()) <= 6 else None


def _key_within(text: str, question: Asked) -> VoteKey | None:
    last_line = without_last_bracket(text[text.rfind("\n") + 1 :][-1500:])
    wanted = question.wanted
    match question.answer_type:
        case AnswerType.DATE:
            return _last_date_key(last_line, question) or _last_date_key(text, question)
        case AnswerType.NUMERIC:
            if wanted.time and (clock := last_time(last_line)):
                return VoteKey("time", clock.value, clock.bare)
            if not wanted.count and (key := _last_date_key(last_line, question)):
                return key
            read = last_amount(last_line, wanted.numbers) or last_amount(text[-2000:], wanted.numbers)
            return VoteKey("number", read.canonical, read.bare) if read else None
        case AnswerType.CHOICE:
            if letter := letter_in(last_line):
                return VoteKey("choice", letter)
            if question.options and (option := only_option_in(last_line, question.options)):
                return VoteKey("choice", option)
            if verdict := opening_verdict(text) or closing_verdict(last_line):
                return VoteKey("choice", verdict)
        case _:
            if wanted.date:
                return _last_date_key(last_line, question)
    return None


def _last_date_key(text: str, question: Asked) -> VoteKey | None:
    wanted = question.wanted
    date = last_date(text, day_first=question.day_first, is_asked=wanted.date, near=wanted.year)
    return VoteKey("date", date) if date else None


def _choice_key(answer: str, question: Asked) -> VoteKey | None:
    if question.options and (letter := choice_of(answer, question.options)):
        return VoteKey("choice", letter)
    if verdict := verdict_of(answer):
        is_offered = question.answer_type is AnswerType.CHOICE or question.wanted.verdict
        return VoteKey("choice", verdict) if verdict != "uncertain" or is_offered else None
    if question.answer_type is AnswerType.CHOICE:
        if letter := choice_of(answer, {}):
            return VoteKey("choice", letter)
        if verdict := opening_verdict(answer):
            return VoteKey("choice", verdict)
    return None


def _calendar_key(answer: str, question: Asked) -> VoteKey | None:
    """Read a date, a time, a weekday, or a range of them."""
    answer = tidy(answer) if "\\" in answer else answer
    has_digit = _DIGIT.search(answer) is not None
    if (has_digit or "月" in answer) and (date := _date(answer, question)):
        return VoteKey("date", date)
    if (
        (has_digit or len(answer) < 12)
        and not question.wanted.ratio
        and (clock := time_key(answer, is_asked=question.wanted.time))
    ):
        return VoteKey("time", clock.value, clock.bare)
    if not has_digit:
        day = weekday(answer)
        return VoteKey("date", day) if day else None
    if _TIED.search(answer) and (spread := _calendar_range(answer, question)):
        return VoteKey("range", spread)
    return None


_TIED = re.compile(r"[–—~～至到까]|\d-\d|\s-\s|\s(?:to|and|bis|à|al|tot|do|до|until|through|hasta|até|fino)\s|から")
_TIE = re.compile(
    r"\s*(?:–|—|~|～|\s-\s|\s(?:to|and|bis|à|au|al|a|tot|do|до|until|through|hasta|até|fino al?)\s"
    r"|から|至|到)\s*(?:the\s)?"
)
_FROM = re.compile(r"^(?:from|between|von|vom|du|de|del|dal|van|od|от|с|từ|dari)\s+", re.IGNORECASE)


def _calendar_range(answer: str, question: Asked) -> str | None:
    parts = _TIE.split(re.sub(r"(?<=\d)-(?=\d)", "–", answer) if answer.count("-") == 1 else answer)
    if len(parts) != 2:
        return None
    first, last = _FROM.sub("", parts[0]).strip(), parts[1].strip(" .")
    end = _date(last, question)
    if end is not None:
        begin = _date(first, question)
        year = re.search(r"\d{4}", last)
        if (begin is None or begin.startswith("--")) and year:
            month = re.sub(r"\d+(?:st|nd|rd|th|\.)?[\s,]*", " ", last.replace(year[0], "")).strip(" ,.")
            begin = _date(f"{first} {year[0]}", question) or _date(f"{month} {first} {year[0]}", question)
        return f"{begin}/{end}" if begin else None
    start = time_key(first)
    if start is not None and (stop := time_key(last)):
        return f"{start.value:0>5}/{stop.value:0>5}"
    if (month_first := re.fullmatch(r"([^\W\d]+\.?\s+)\d{1,2}", first)) and (
        end := _date(f"{month_first[1]}{last}", question)
    ):
        year = re.search(r"\d{4}", last)
        begin = _date(f"{first}, {year[0]}" if year else first, question)
        return f"{begin}/{end}" if begin else None
    return None


def _style_of(answer: str, question: Asked) -> NumberStyle:
    """Return how numbers are written; with a sign of dollars a number is none of cents."""
    style = question.wanted.numbers
    if style.unit == "cent" and (answer.count("$") == 1 or "\\$" in answer):
        return replace(style, given="dollar")
    return style


def _date(text: str, question: Asked) -> str | None:
    wanted = question.wanted
    return date_key(text, day_first=question.day_first, is_asked=wanted.date, near=wanted.year)


def _point(text: str, question: Asked) -> str | None:
    """Read an end of a range: a number, with its unit."""
    read = amount(text, any_unit=question.answer_type is AnswerType.NUMERIC, style=question.wanted.numbers)
    return read.canonical if read else None


def _part(text: str, question: Asked) -> str | None:
    """Read one of several parts of an answer."""
    text = text.strip(" .*_`\"'$")
    if not text:
        return None
    if any(sign.isdigit() for sign in text):
        if date := _date(text, question):
            return date
        if read := amount(text, any_unit=False, style=question.wanted.numbers):
            return read.canonical
    if re.search(r"[\\^={}<>]|\d[a-z]|\b[a-z]\b.*[-+*/]", text):
        return None
    return name_key(text) or None


_QUOTES = "*_`$ \t\"'“”„«»「」『』"
_MATHS_BRACKET = re.compile(r"^\\[(\[]|\\[)\]]$")
_TEXT_BOX = re.compile(r"\\(?:text|textbf|mathrm)\{([^{}]*)\}")


def _strip_markup(answer: str) -> str:
    answer = even(answer).strip().strip(_QUOTES)
    if "\\" in answer:
        answer = _MATHS_BRACKET.sub("", answer).strip(_QUOTES)
        if match := _TEXT_BOX.fullmatch(answer):
            answer = match[1]
    return without_copula(answer.rstrip(".;, 。！!"))


def _formula(answer: str, question: Asked) -> str | None:
    """Take the left side of an equation whose value the question names already: there the formula is the answer."""
    left, equals, right = answer.rpartition("=")
    if equals and len(left) <= 120 and _FORMULA.fullmatch(left):
        read = amount(right, any_unit=True)
        if read and re.search(rf"(?<![\d.]){re.escape(read.bare)}(?!\d|\.\d)", question.question):
            return re.sub(r"\s+", "", left)
    return None


_FORMULA = re.compile(r"[-+*/×÷() \d.]*\d\D*[-+*/×÷][-+*/×÷() \d.]*")


def _right_side(answer: str) -> str:
    left, equals, right = answer.rpartition("=")
    is_named = re.fullmatch(r"\s*[\w\\()'^{} ]{1,20}\s*", left) or (
        "," not in left and re.search(r"\d\s*[-+*/×÷]", left)
    )
    return right.strip() if equals and is_named else answer


_PROSE = re.compile(
    r"(?<![a-z])(?:it|is|it's|on|at|in|by|to|an|be|so|we|he|of|es|er|il|le|la|el|en|um|am|du)\s+\S", re.I
)


def _looks_like_maths(answer: str, is_numeric: bool) -> bool:
    bare = re.sub(r"\\[a-zA-Z]+", "", answer)
    if _PROSE.search(bare):
        return False
    words = re.findall(r"(?<!\\)(?<![a-z\\])[a-z]{3,}", bare, re.IGNORECASE)
    if words and not all(w in ("sin", "cos", "tan", "log", "exp", "sqrt") for w in words):
        return False
    if re.search(r"\\[a-zA-Z]+|\^|_\{", answer):
        return True
    return bool(re.search(r"[-+*/=()\[\]]", answer) and re.search(r"\d|^[a-z]\b", answer)) or (
        is_numeric and bool(re.fullmatch(r"-?\d*\s*[a-z]", answer))
    )
