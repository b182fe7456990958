"""Exact checkers of single answers, behind one protocol. None of them executes generated code.

`rates` is what a verifier was measured to do on the labelled bank in tests/tiers; a test keeps the numbers true.
"""

import ast
import re
from collections.abc import Sequence
from enum import StrEnum
from fractions import Fraction
from typing import Protocol

from router.providers.base import Choice
from router.tiers.vote.amounts import NUMBER
from router.tiers.vote.checkers import CheckerPool
from router.tiers.vote.keys import Asked
from router.tiers.vote.marks import find_marked_answer
from router.tiers.vote.rates import VerifierRates
from router.tiers.vote.structures import NoJson, parse_json


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


def default_verifiers(pool: CheckerPool) -> tuple[Verifier, ...]:
    """Return the verifiers that every deployment has."""
    return (SchemaVerifier(pool), PuzzleVerifier(), ArithmeticVerifier())


_RESULT = re.compile(rf"=\s*\$?({NUMBER})(?![\d.,]*\d|[\w^\\(/%]|\s*[-+*/×÷=^])")
_PUZZLE = re.compile(
    r"\b(?:obtain|get|make|reach|equals?|equal to|result in|game of|gives?)\s*:?\s*(\d+)\b", re.IGNORECASE
)
_NUMBERS = re.compile(r"(?<![\d.])\d+(?:(?:\s*,\s*(?:and\s+)?|\s+and\s+|\s+)\d+){2,}(?![\d.])")


def puzzle(question: str) -> tuple[Sequence[Fraction], Fraction] | None:
    """Return the numbers and the target of an arithmetic puzzle; with worked examples the last numbers count."""
    if len(question) > 8000 or not re.search(
        r"arithmetic|operations|\beach number|\ball (?:the |of the )?numbers|game of", question, re.I
    ):
        return None
    target, numbers = _PUZZLE.search(question), _NUMBERS.findall(question)
    if not target or not numbers:
        return None
    return [Fraction(n) for n in re.findall(r"\d+", numbers[-1])], Fraction(target[1])


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


def evaluate(formula: str) -> Fraction | None:
    """Calculate + - * / and brackets over numbers exactly; None for anything else."""
    formula = re.sub(r"(?<=\d),(?=\d{3}\b)", "", formula).replace("×", "*").replace("÷", "/").replace("$", "")
    if len(formula) > 300:
        return None
    try:
        return _value(ast.parse(formula.strip(), mode="eval").body)
    except (SyntaxError, ValueError, ZeroDivisionError, RecursionError, MemoryError):
        return None


def _value(node: ast.expr) -> Fraction:
    match node:
        case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
            return Fraction(str(number))
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_value(operand)
        case ast.UnaryOp(op=ast.UAdd(), operand=operand):
            return _value(operand)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _value(left) + _value(right)
        case ast.BinOp(left=left, op=ast.Sub(), right=right):
            return _value(left) - _value(right)
        case ast.BinOp(left=left, op=ast.Mult(), right=right):
            return _value(left) * _value(right)
        case ast.BinOp(left=left, op=ast.Div(), right=right):
            return _value(left) / _value(right)
        case _:
            raise ValueError("not plain arithmetic")


def _arguments(call: dict[str, object], question: Asked) -> tuple[object, dict[str, object]]:
    """Return a call's arguments and the schema they must satisfy; raises KeyError for a tool nobody gave."""
    function = call.get("function")
    if not isinstance(function, dict) or question.tools is None:
        raise KeyError("function")
    return parse_json(str(function.get("arguments") or "{}")), question.tools[str(function.get("name"))]
