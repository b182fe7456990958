"""Answers of several parts: sets, lists, ordered pairs, intervals, inequalities, ratios, ranges. Pure.

A part is read by a function that is given, so that dates, numbers and names may stand in them.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction

from router.tiers.vote.amounts import NumberStyle, amount, spell
from router.tiers.vote.wanted import Wanted

MOST_PARTS = 60

Part = Callable[[str], str | None]
_Key = tuple[str, str]

_LATEX = (
    (re.compile(r"\\(?:left|right|displaystyle|big|Big|,|;|!|:|quad|\s)"), ""),
    (re.compile(r"\\(?:text|mathrm|textbf|mbox)\s?\{([^{}]*)\}"), r" \1 "),
    (re.compile(r"\\(?:leq|le|leqslant)(?![a-z])"), "≤"),
    (re.compile(r"\\(?:geq|ge|geqslant)(?![a-z])"), "≥"),
    (re.compile(r"\\(?:lt)(?![a-z])"), "<"),
    (re.compile(r"\\(?:gt)(?![a-z])"), ">"),
    (re.compile(r"\\infty"), "∞"),
    (re.compile(r"\\cup(?![a-z])"), "∪"),
    (re.compile(r"\\pm(?![a-z])"), "±"),
    (re.compile(r"\\in(?![a-z])"), "∈"),
    (re.compile(r"\\mathbb\s?\{?R\}?"), "ℝ"),
    (re.compile(r"\\[dt]?frac\s?\{([^{}\\]{1,20})\}\s?\{([^{}\\]{1,20})\}"), r"\1/\2"),
    (re.compile(r"\\[dt]?frac\s?(\d)\s?(\d)"), r"\1/\2"),
    (re.compile(r"\\([{}])"), r"\1"),
)
_AND = re.compile(
    r"\s*[,;、，；]\s*(?:(?:and|or|und|oder|et|ou|y|o|e|en|of|i|lub|и|или|ve|veya|và|dan|atau|और|व)\s+(?![=<>≤≥]))?"
    r"|\s+(?:and|or|und|oder|et|ou|y|o|e|en|of|i|lub|и|или|ve|veya|و|أو|và|dan|atau|और|या|&)\s+(?![=<>≤≥])(?:و)?"
    r"|\s*(?:和|与|與|と|及|または|或)\s*|\s?(?:와|과|그리고)\s"
)
_OPEN_COMMA = re.compile(r"\s*[,;]\s*")
_COMPARED = re.compile(
    r"(?P<low>[^<>≤≥=]+?)\s*(?P<a><|≤|<=|>|≥|>=)\s*(?P<x>[^\W\d_])\s*(?P<b><|≤|<=|>|≥|>=)\s*(?P<high>[^<>≤≥=]+)"
)
_ONE_SIDED = re.compile(
    r"(?:(?P<x>[^\W\d_])\s*(?P<a><=|>=|<|≤|>|≥)\s*(?P<of>[^<>≤≥=]+)"
    r"|(?P<to>[^<>≤≥=]+?)\s*(?P<b><=|>=|<|≤|>|≥)\s*[^\W\d_])"
)
_ASSIGNED = re.compile(r"([^\W\d_](?:_\{?\d\}?)?)\s*=\s*(.+)")
_RATIO = re.compile(r"([\d.,]+)\s*(?::|\bto\b|zu|à|a|su|tot|do|к|/)\s*([\d.,]+)")
_RANGE = re.compile(
    r"(?:between\s+|from\s+|von\s+|de\s+|da\s+|van\s+|od\s+|от\s+)?(.+?)\s*(?:–|—|~|～|\bto\b|\band\b|\bbis\b|\bà\b|\bal\b|\btot\b|\bdo\b|до"
    r"|から|至|到)\s*(.+)"
)


def series_key(answer: str, wanted: Wanted, part: Part) -> _Key | None:
    """Return the kind and the spelling of an answer that stands in brackets or compares, None for anything else."""
    text = tidy(answer)
    if not text:
        return None
    if any(sign in text for sign in "<>≤≥∞∪"):
        return _interval_key(text, wanted.numbers)
    if wanted.ratio and (match := _RATIO.fullmatch(text)) and not (wanted.count and "/" in text):
        return _ratio_key(match[1], match[2], wanted.numbers)
    if text[0] in "([{" and text[-1] in ")]}":
        return _bracket_key(text, wanted, part)
    if "±" in text:
        return _plus_minus_key(text, wanted.numbers)
    return None


def bare_series_key(answer: str, wanted: Wanted, part: Part) -> _Key | None:
    """Return the kind and the spelling of parts that stand side by side: "2, 3 and 5", "x = 2 or x = 3"."""
    text = tidy(answer)
    parts = [p.strip() for p in _AND.split(text) if p and p.strip()]
    if not 2 <= len(parts) <= MOST_PARTS:
        return None
    assigned = [_ASSIGNED.fullmatch(p) for p in parts]
    if assigned[0] and any(assigned):
        return _assignments(parts, assigned, wanted)
    numbers = [_number(p, wanted.numbers) for p in parts]
    if all(n is not None for n in numbers):
        return _of([spell(n) for n in numbers if n is not None], wanted)
    keys = [part(p) for p in parts]
    if any(key is None for key in keys):
        return None
    is_listed = wanted.set or wanted.order or (len(parts) >= 3 and not wanted.date)
    if not is_listed or any(len(p.split()) > (5 if wanted.set or wanted.order else 3) for p in parts):
        return None
    return _of([key for key in keys if key is not None], wanted)


def range_key(answer: str, part: Part) -> str | None:
    """Return a range of two parts that stand in order, None when the answer is none."""
    if len(answer) > 90 or not (match := _RANGE.fullmatch(answer.strip())):
        return None
    low, high = part(match[1].strip()), part(match[2].strip())
    return f"{low}/{high}" if low and high else None


def tidy(text: str) -> str:
    """Take away LaTeX dressing."""
    if "\\" in text:
        for pattern, replacement in _LATEX:
            text = pattern.sub(replacement, text)
    return text.replace("$", "").strip(" .")


def _of(keys: Sequence[str], wanted: Wanted) -> _Key:
    return ("list", ",".join(keys)) if wanted.order else _set_of(keys)


def _set_of(keys: Iterable[str]) -> _Key:
    return "set", ",".join(sorted(set(keys)))


def _bracket_key(text: str, wanted: Wanted, part: Part) -> _Key | None:
    inner = text[1:-1].strip()
    if any(bracket in inner for bracket in "()[]{}"):
        return _pairs_key(text, wanted)
    parts = [p for p in _OPEN_COMMA.split(inner) if p]
    if not 1 <= len(parts) <= MOST_PARTS or (len(parts) == 1 and text[0] == "("):
        return None
    keys = []
    for written in parts:
        number = _number(written, wanted.numbers)
        key = spell(number) if number is not None else None
        if key is None and text[0] != "(":
            key = part(written.strip("\"'"))
        if key is None:
            return None
        keys.append(key)
    joined = ",".join(keys)
    match text[0] + text[-1]:
        case "{}":
            return _set_of(keys)
        case "[]" if not (wanted.interval and len(keys) == 2 and not wanted.order):
            if wanted.set and not wanted.order and not wanted.pair:
                return _set_of(keys)
            return "list", joined
        case "()" if wanted.interval and not wanted.pair and len(keys) == 2:
            return "interval", f"({joined})"
        case "()":
            return "pair", f"({joined})"
        case _ if len(keys) == 2:
            return "interval", f"{text[0]}{joined}{text[-1]}"
        case _:
            return None


def _pairs_key(text: str, wanted: Wanted) -> _Key | None:
    """Read a set of pairs; deeper nesting is left alone."""
    pairs = re.findall(r"\(([^()]*)\)", text)
    rest = re.sub(r"\([^()]*\)|[,;\s]", "", text)
    if not pairs or rest not in ("{}", "[]", ""):
        return None
    keys = []
    for pair in pairs:
        numbers = [_number(p, wanted.numbers) for p in _OPEN_COMMA.split(pair)]
        if not all(n is not None for n in numbers):
            return None
        keys.append("(" + ",".join(spell(n) for n in numbers if n is not None) + ")")
    return _of(keys, wanted)


def _assignments(parts: Sequence[str], assigned: Sequence[re.Match[str] | None], wanted: Wanted) -> _Key | None:
    values: list[tuple[str, str]] = []
    for written, match in zip(parts, assigned, strict=True):
        name = match[1] if match else values[-1][0] if values else ""
        number = _number(match[2] if match else written, wanted.numbers)
        if number is None:
            return None
        values.append((name.replace("_", "").strip("{}"), spell(number)))
    names = [re.sub(r"\d", "", name) for name, _ in values]
    if len(set(names)) == 1:
        return _set_of(value for _, value in values)
    values.sort()
    return "pair", "(" + ",".join(value for _, value in values) + ")"


def _plus_minus_key(text: str, style: NumberStyle) -> _Key | None:
    before, _, after = text.rpartition("=")[2].partition("±")
    middle, span = Fraction(0) if not before.strip() else _number(before, style), _number(after, style)
    if middle is None or span is None:
        return None
    return _set_of((spell(middle - span), spell(middle + span)))


def _ratio_key(a: str, b: str, style: NumberStyle) -> _Key | None:
    left, right = _number(a, style), _number(b, style)
    if left is None or not right:
        return None
    return "ratio", _spell_ratio(left / right)


def ratio_of(number: str) -> str:
    """Return the ratio that a number stands for: 1.5 is 3:2."""
    return _spell_ratio(Fraction(number))


def _spell_ratio(share: Fraction) -> str:
    return f"{share.numerator}:{share.denominator}"


def _interval_key(text: str, style: NumberStyle) -> _Key | None:
    """Read intervals, inequalities and unions of them: x > 3 is (3,∞)."""
    text = re.sub(r"^[^\W\d_]\s*∈\s*", "", text)
    spans = []
    for piece in re.split(r"\s*(?:∪|\bor\b|\boder\b|\bou\b|\bo\b|или|ou|veya|或)\s*", text):
        span = _one_interval(piece.strip(), style)
        if span is None:
            return None
        spans.append(span)
    spans.sort()
    return "interval", "∪".join(spelled for _, spelled in spans)


def _one_interval(text: str, style: NumberStyle) -> tuple[float, str] | None:
    if match := re.fullmatch(r"([(\[])\s*(.+?)\s*[,;]\s*(.+?)\s*([)\]])", text):
        low, high = _end(match[2], style), _end(match[3], style)
        opening, closing = match[1], match[4]
    elif match := _COMPARED.fullmatch(text):
        low, high = _end(match["low"], style), _end(match["high"], style)
        opening, closing = "(" if match["a"] in "<>" else "[", ")" if match["b"] in "<>" else "]"
        if match["a"][0] in ">≥":
            low, high, opening, closing = high, low, "[" if closing == "]" else "(", "]" if opening == "[" else ")"
    elif match := _ONE_SIDED.fullmatch(text):
        sign = match["a"] or match["b"]
        is_upper = (sign[0] in "<≤") == (match["a"] is not None)
        end = _end(match["of"] or match["to"], style)
        if end is None:
            return None
        is_closed = sign not in "<>"
        low, high = ("-∞", end) if is_upper else (end, "∞")
        opening, closing = ("(", "]" if is_closed else ")") if is_upper else ("[" if is_closed else "(", ")")
    else:
        return None
    if low is None or high is None:
        return None
    return float("-inf") if low == "-∞" else float(Fraction(low)), f"{opening}{low},{high}{closing}"


def _end(text: str, style: NumberStyle) -> str | None:
    text = text.strip()
    if text.lstrip("+-") in ("∞", "infinity"):
        return "-∞" if text.startswith("-") else "∞"
    number = _number(text, style)
    return None if number is None else spell(number)


def _number(text: str, style: NumberStyle) -> Fraction | None:
    read = amount(text, any_unit=False, style=style) if text.strip() else None
    if read is None:
        return None
    value = read.canonical.split(" ")[0]
    return Fraction(value) if re.fullmatch(r"-?\d+(?:\.\d+)?", value) else None
