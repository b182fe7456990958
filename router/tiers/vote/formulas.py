"""Plain formulas, exactly: numbers, + - * /, whole powers, brackets, and one unknown. Pure; nothing is executed."""

import ast
import re
from fractions import Fraction

LONGEST = 300
LARGEST_POWER = 64
LARGEST_DIGITS = 2_000  # of a number on the way

Polynomial = dict[int, Fraction]  # the factor of each power of the unknown


def evaluate(formula: str) -> Fraction | None:
    """Calculate a formula over numbers; None for anything else."""
    found = polynomial(formula, None)
    return None if found is None else found.get(0, Fraction(0))


def polynomial(formula: str, name: str | None) -> Polynomial | None:
    """Multiply a formula out in one unknown, `3x` read as `3*x`; None where it is no polynomial in it."""
    if len(formula) > LONGEST:
        return None
    text = re.sub(r"(?<=\d),(?=\d{3}(?!\d))", "", formula)
    for sign, ours in (("×", "*"), ("·", "*"), ("÷", "/"), ("−", "-"), ("–", "-"), ("^", "**"), ("$", "")):
        text = text.replace(sign, ours)
    text = re.sub(r"(?<![\d.])0+(?=\d)", "", text)
    if name is not None:
        text = re.sub(rf"(?<=[\d)])\s*(?=[{name}(])|(?<={name})\s*(?=\()", "*", text)
    try:
        return _value(ast.parse(text.strip(), mode="eval").body, name)
    except (SyntaxError, ValueError, ZeroDivisionError, RecursionError, MemoryError, OverflowError):
        return None


def _value(node: ast.expr, name: str | None) -> Polynomial:
    match node:
        case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
            return {0: Fraction(str(number))}
        case ast.Name(id=unknown) if unknown == name:
            return {1: Fraction(1)}
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return {power: -factor for power, factor in _value(operand, name).items()}
        case ast.UnaryOp(op=ast.UAdd(), operand=operand):
            return _value(operand, name)
        case ast.BinOp(left=left, op=operator, right=right):
            return _combine(_value(left, name), operator, _value(right, name))
        case _:
            raise ValueError("not plain arithmetic")


def _combine(left: Polynomial, operator: ast.operator, right: Polynomial) -> Polynomial:
    match operator:
        case ast.Add() | ast.Sub():
            sign = 1 if isinstance(operator, ast.Add) else -1
            powers = {*left, *right}
            return {p: left.get(p, Fraction(0)) + sign * right.get(p, Fraction(0)) for p in powers}
        case ast.Mult():
            return _multiply(left, right)
        case ast.Div() if set(right) <= {0}:
            return {power: factor / right.get(0, Fraction(0)) for power, factor in left.items()}
        case ast.Pow() if set(right) <= {0}:
            power = right.get(0, Fraction(0))
            if power.denominator != 1 or not 0 <= power <= LARGEST_POWER:
                raise ValueError("not a small whole power")
            made: Polynomial = {0: Fraction(1)}
            for _ in range(int(power)):
                made = _multiply(made, left)
            return made
        case _:
            raise ValueError("not plain arithmetic")


def _multiply(left: Polynomial, right: Polynomial) -> Polynomial:
    made: Polynomial = {}
    for p, a in left.items():
        for q, b in right.items():
            made[p + q] = made.get(p + q, Fraction(0)) + a * b
    if max(made, default=0) > LARGEST_POWER or any(
        max(f.numerator.bit_length(), f.denominator.bit_length()) > 3 * LARGEST_DIGITS for f in made.values()
    ):
        raise ValueError("too large")
    return made
