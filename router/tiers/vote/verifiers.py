"""Exact checkers of single answers, behind one protocol. None executes generated code unless it was asked to.

`rates` is what a verifier was measured to do on the labelled bank in tests/tiers; a test keeps the numbers true.
"""

import re
from collections.abc import Sequence
from enum import StrEnum
from fractions import Fraction
from functools import lru_cache
from typing import Protocol

from router.providers.base import Choice
from router.tiers.vote.amounts import NUMBER
from router.tiers.vote.calculations import agrees, work_out
from router.tiers.vote.checkers import CheckerPool
from router.tiers.vote.dates import date_key, weekday
from router.tiers.vote.formulas import evaluate
from router.tiers.vote.keys import Asked
from router.tiers.vote.marks import find_marked_answer
from router.tiers.vote.rates import VerifierRates
from router.tiers.vote.sandbox import Sandbox, examples_in, program_in
from router.tiers.vote.statements import is_broken, statement_in, tables_in
from router.tiers.vote.structures import NoJson, parse_json

LONGEST_PUZZLE = 8_000


class Ruling(StrEnum):
    """What a verifier says of an answer. A right one ends the vote, a wrong one never votes."""

    RIGHT = "right"
    WRONG = "wrong"
    UNSURE = "unsure"


class Verifier(Protocol):
    """Checks one answer without having seen the others. One that `proves` selects; the others only reject."""

    name: str
    rates: VerifierRates
    proves: bool

    def applies(self, question: Asked) -> bool:
        """Tell whether the question gives something to check against."""
        ...

    async def rule(self, choice: Choice, question: Asked) -> Ruling:
        """Rule on one answer."""
        ...


class SchemaVerifier:
    """Rejects JSON and tool arguments that violate the schema which the client gave."""

    name = "schema"
    rates = VerifierRates(right_accepted=24, right=24, wrong_accepted=0, wrong=48)
    proves = False

    def __init__(self, pool: CheckerPool) -> None:
        self._pool = pool

    def applies(self, question: Asked) -> bool:
        """Tell whether a schema or tools were given."""
        return question.schema is not None or question.tools is not None

    async def rule(self, choice: Choice, question: Asked) -> Ruling:
        """Call a violation wrong; satisfying a schema does not make an answer right."""
        try:
            if choice.tool_calls:
                pairs = [_arguments(call, question) for call in choice.tool_calls]
            elif question.schema is not None and choice.content:
                pairs = [(parse_json(choice.content), question.schema)]
            else:
                return Ruling.UNSURE
        except (NoJson, KeyError):
            return Ruling.WRONG
        for value, schema in pairs:
            if await self._pool.fits_schema(value, schema) is False:
                return Ruling.WRONG
        return Ruling.UNSURE


class ArithmeticVerifier:
    """Rejects an answer whose last written calculation is false ("17 * 3 = 54")."""

    name = "arithmetic"
    rates = VerifierRates(right_accepted=36, right=36, wrong_accepted=36, wrong=60)
    proves = False

    def applies(self, question: Asked) -> bool:
        """Take any question; answers without a calculation are left alone."""
        return not question.wants_json

    async def rule(self, choice: Choice, question: Asked) -> Ruling:
        """Recalculate the last claim; rounded results are taken as true within half a percent."""
        claim = last_claim((choice.content or "")[-4000:])
        if claim is None:
            return Ruling.UNSURE
        left, right = evaluate(claim[0]), evaluate(claim[1])
        if left is None or right is None or abs(left - right) <= abs(left) / 200:
            return Ruling.UNSURE
        return Ruling.WRONG


class PuzzleVerifier:
    """Checks a formula that should reach a target from given numbers, each used once (24, countdown)."""

    name = "puzzle"
    rates = VerifierRates(right_accepted=23, right=23, wrong_accepted=0, wrong=49)
    proves = True

    def applies(self, question: Asked) -> bool:
        """Tell whether the question names numbers and a target."""
        return puzzle(question.question) is not None

    async def rule(self, choice: Choice, question: Asked) -> Ruling:
        """Rule exactly, both ways."""
        given = puzzle(question.question)
        formula = (find_marked_answer(choice.content or "") or "").split("=")[0]
        if given is None or not formula.strip():
            return Ruling.UNSURE
        numbers, target = given
        formula = formula.strip("$`* ").replace("×", "*").replace("÷", "/").replace("−", "-")
        used = sorted(Fraction(n) for n in re.findall(r"\d+", formula))
        is_right = used == sorted(numbers) and evaluate(formula) == target
        return Ruling.RIGHT if is_right else Ruling.WRONG


class CalculationVerifier:
    """Works the question out itself where all of it is arithmetic, an equation, a span of dates or a conversion."""

    name = "calculation"
    rates = VerifierRates(right_accepted=45, right=45, wrong_accepted=3, wrong=73)
    proves = True

    def applies(self, question: Asked) -> bool:
        """Tell whether the question can be worked out."""
        return not question.wants_json and work_out(question.question) is not None

    async def rule(self, choice: Choice, question: Asked) -> Ruling:
        """Rule by what the answer says; what cannot be read is left alone."""
        found = work_out(question.question)
        if found is None:
            return Ruling.UNSURE
        text = answer_line(choice.content or "")
        if found.weekday is not None:
            named = weekday(text.strip(" .*$"))
            return Ruling.UNSURE if named is None else _ruling(named == found.weekday)
        if found.day is not None:
            readings = {date_key(text, day_first=first) for first in (False, True)} - {None}
            return Ruling.UNSURE if len(readings) != 1 else _ruling(readings == {found.day.isoformat()})
        values = numbers_of(text)
        if not values:
            return Ruling.UNSURE
        if found.fulfils is None:
            return _ruling(len(values) == 1 and agrees(found, *values[0])) if len(values) == 1 else Ruling.UNSURE
        if not all(found.fulfils(value) for value, _ in values):
            exact = all(decimals is None or decimals < 2 for _, decimals in values)
            return Ruling.WRONG if exact else Ruling.UNSURE
        return Ruling.RIGHT if found.has_one_solution and len(values) == 1 else Ruling.UNSURE


class StatementVerifier:
    """Rejects SQL that cannot run on the tables which the question gives."""

    name = "sql"
    rates = VerifierRates(right_accepted=8, right=8, wrong_accepted=1, wrong=8)
    proves = False

    def applies(self, question: Asked) -> bool:
        """Tell whether the question gives tables and asks for a query."""
        return "create table" in question.question.casefold() and tables_in(question.question) is not None

    async def rule(self, choice: Choice, question: Asked) -> Ruling:
        """Call a query wrong that names what is not there."""
        statement, tables = statement_in(choice.content or ""), tables_in(question.question)
        if statement is None or tables is None or not is_broken(statement, tables, question.question):
            return Ruling.UNSURE
        return Ruling.WRONG


class ProgramVerifier:
    """Rejects a Python program that fails the tests which its question brings; one that passes all is no proof."""

    name = "program"
    rates = VerifierRates(right_accepted=6, right=6, wrong_accepted=0, wrong=11)
    proves = False

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def applies(self, question: Asked) -> bool:
        """Tell whether the question brings tests."""
        return not question.wants_json and bool(examples_in(question.question))

    async def rule(self, choice: Choice, question: Asked) -> Ruling:
        """Run the program on the tests."""
        program, examples = program_in(choice.content or ""), examples_in(question.question)
        has_failed = program is not None and await self._sandbox.passes(program, examples) is False
        return Ruling.WRONG if has_failed else Ruling.UNSURE


def default_verifiers(pool: CheckerPool, *, runs_code: bool = False) -> tuple[Verifier, ...]:
    """Return the verifiers that every deployment has; programs are run only where that was asked for."""
    usual = (SchemaVerifier(pool), PuzzleVerifier(), CalculationVerifier(), StatementVerifier(), ArithmeticVerifier())
    return (*usual, ProgramVerifier(Sandbox())) if runs_code else usual


def _ruling(is_right: bool) -> Ruling:
    return Ruling.RIGHT if is_right else Ruling.WRONG


_SIGNED = re.compile(r"(?<![\w.])[-\u2212]?\d[\d,]*(?:\.\d+)?(?:\s*/\s*\d+)?(?![\d/])")


def numbers_of(text: str) -> list[tuple[Fraction, int | None]]:
    """Return the numbers of a short answer with how many decimals each has, None where one is a fraction."""
    found = []
    for match in _SIGNED.finditer(re.sub(r"(?<=\d)\s(?=\d{3}\b)", "", text[:200]).replace("\\frac", " ")):
        value = evaluate(match[0])
        if value is not None:
            whole, _, part = match[0].partition(".")
            found.append((value, None if "/" in whole else len(part)))
    return found


def answer_line(text: str) -> str:
    """Return what the text says is the answer: the last line that speaks of one and has a number, else the last."""
    marked = find_marked_answer(text)
    if marked and re.search(r"\d", marked):
        return marked
    lines = [line for line in text[-1_000:].splitlines() if line.strip()]
    said = [line for line in lines if "answer" in line.casefold() and re.search(r"\d", line)]
    return said[-1] if said else marked or (lines[-1] if lines else "")


_RESULT = re.compile(rf"=\s*\$?({NUMBER})(?![\d.,]*\d|[\w^\\(/%]|\s*[-+*/×÷=^])")
_PUZZLE = re.compile(
    r"\b(?:obtain|get|make|reach|equals?|equal to|result in|game of|gives?)\s*:?\s*(\d+)\b", re.IGNORECASE
)
_ABOUT_NUMBERS = re.compile(
    r"arithmetic|operations|\beach number|\ball (?:the |of the )?numbers|game of", re.IGNORECASE
)
_NUMBERS = re.compile(r"(?<![\d.])\d+(?:(?:\s*,\s*(?:and\s+)?|\s+and\s+|\s+)\d+){2,}(?![\d.])")


def puzzle(question: str) -> tuple[Sequence[Fraction], Fraction] | None:
    """Return the numbers and the target of an arithmetic puzzle; with worked examples the last numbers count."""
    return _puzzle(question) if len(question) <= LONGEST_PUZZLE else None


@lru_cache(maxsize=64)
def _puzzle(question: str) -> tuple[Sequence[Fraction], Fraction] | None:
    numbers = _NUMBERS.findall(question)
    if not numbers or not _ABOUT_NUMBERS.search(question):
        return None
    target = _PUZZLE.search(question)
    return None if target is None else (tuple(map(Fraction, re.findall(r"\d+", numbers[-1]))), Fraction(target[1]))


def last_claim(text: str) -> tuple[str, str] | None:
    """Return the last plain calculation and the result that the text gives it, passing over algebra."""
    for match in reversed(list(_RESULT.finditer(text))):
        line = text[text.rfind("\n", 0, match.start()) + 1 : match.start()]
        before = line.rstrip("-+*/×÷() 0123456789.,")
        formula = line[len(before) :].strip().removeprefix("- ").strip()
        is_whole = re.match(r"[(\d]", formula) and not re.search(r"(?:\\\w*|[)}\]^_|%])$", before)
        if is_whole and re.search(r"\d\)*\s*[-+*/×÷]", formula):
            return formula, match[1]
    return None


def _arguments(call: dict[str, object], question: Asked) -> tuple[object, dict[str, object]]:
    """Return a call's arguments and the schema they must satisfy; raises KeyError for a tool nobody gave."""
    function = call.get("function")
    if not isinstance(function, dict) or question.tools is None:
        raise KeyError("function")
    return parse_json(str(function.get("arguments") or "{}")), question.tools[str(function.get("name"))]
