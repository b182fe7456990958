"""Dates as people and models write them, brought to ISO form. Pure."""

import datetime
import re

_NAMES = (
    ("january", "jan"), ("february", "feb"), ("march", "mar"), ("april", "apr"), ("may",), ("june", "jun"),
    ("july", "jul"), ("august", "aug"), ("september", "sept", "sep"), ("october", "oct"), ("november", "nov"),
    ("december", "dec"),
)  # fmt: skip
_MONTHS = {name: number for number, names in enumerate(_NAMES, 1) for name in names}
_MONTH = r"(?P<month>" + "|".join(sorted(_MONTHS, key=len, reverse=True)) + r")\.?"
_DAY = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?"
_YEAR = r"(?P<year>\d{4})"
_WEEKDAY = r"(?:(?:mon|tues|wednes|thurs|fri|satur|sun)day,?\s+)?"

_FORMS = [
    re.compile(rf"{_YEAR}[-/.](?P<month>\d{{1,2}})[-/.](?P<day>\d{{1,2}})"),
    re.compile(rf"(?P<first>\d{{1,2}})[-/.](?P<second>\d{{1,2}})[-/.]{_YEAR}"),
    re.compile(rf"{_WEEKDAY}{_MONTH}\s+{_DAY}(?:,|\s)\s*{_YEAR}", re.IGNORECASE),
    re.compile(rf"{_WEEKDAY}{_DAY}\s+(?:of\s+)?{_MONTH},?\s+{_YEAR}", re.IGNORECASE),
    re.compile(rf"{_MONTH},?\s+{_YEAR}", re.IGNORECASE),
]
_ANYWHERE = re.compile(
    "|".join(f"(?<!\\d){re.sub(r'[(][?]P<[a-z]+>', '(?:', f.pattern)}(?!\\d)" for f in _FORMS), re.IGNORECASE
)


def date_key(text: str, *, day_first: bool = False) -> str | None:
    """Return the date as YYYY-MM-DD (or YYYY-MM) when the text is one, else None.

    03/04/2020 is read as March 4 unless `day_first`, or unless that is no date.
    """
    text = text.strip().strip(".*$`\"' ").removeprefix("on ").strip()
    for form in _FORMS:
        if match := form.fullmatch(text):
            return _iso(match.groupdict(), day_first=day_first)
    return None


def last_date(text: str, *, day_first: bool = False) -> str | None:
    """Return the last date that stands in the text, as `date_key` does."""
    match = None
    for match in _ANYWHERE.finditer(text):  # noqa: B007
        pass
    return date_key(match[0], day_first=day_first) if match else None


def _iso(parts: dict[str, str], *, day_first: bool) -> str | None:
    year = int(parts["year"])
    if "first" in parts:
        first, second = int(parts["first"]), int(parts["second"])
        month, day = (second, first) if (day_first and second <= 12) or first > 12 else (first, second)
    else:
        month = int(parts["month"]) if parts["month"].isdigit() else _MONTHS[parts["month"].casefold()]
        if "day" not in parts:
            return f"{year:04d}-{month:02d}"
        day = int(parts["day"])
    try:
        return datetime.date(year, month, day).isoformat()
    except ValueError:
        return None
