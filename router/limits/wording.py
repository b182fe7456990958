"""Limits, ends and overlaps as people write them, on a command line and in a form. Raises WrongKey."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime

from router.keys import EVERY_MODEL, LIMIT_NAMES, WrongKey
from router.money import NotMoney, nano_from_usd, usd_text

EVERY, NO_LIMIT, INHERITED = "all", "none", "default"
_DURATION = re.compile(r"([0-9]{1,6})([mhd])")
_SECONDS = {"m": 60, "h": 3_600, "d": 86_400}
_US = 1_000_000

# What each limit is called where people write it: amounts are dollars there.
WRITTEN_NAMES: Mapping[str, str] = {name.replace("nanousd", "usd"): name for name in LIMIT_NAMES}


def read_limits(given: Mapping[str, str | None]) -> tuple[dict[str, int | None], list[str]]:
    """Read the limits among options: those with a value of their own (None lifts one), and those to be inherited."""
    limits: dict[str, int | None] = {}
    inherited: list[str] = []
    for written, name in WRITTEN_NAMES.items():
        text = given.get(written)
        if not text:
            continue
        try:
            if text == INHERITED:
                inherited.append(name)
            elif text == NO_LIMIT:
                limits[name] = None
            else:
                limits[name] = int(text) if written == name else nano_from_usd(text)
        except (NotMoney, ValueError):
            says = f"{written.replace('_', ' ')}: {text!r} is no number; {NO_LIMIT!r} is no limit"
            raise WrongKey(says) from None
    return limits, inherited


def format_limits(limits: Mapping[str, int | None]) -> str:
    """Write a key's own limits on one line; empty where it has none."""
    texts = []
    for written, name in WRITTEN_NAMES.items():
        if name in limits:
            value = limits[name]
            texts.append(f"{written}={NO_LIMIT if value is None else value if written == name else usd_text(value)}")
    return " ".join(texts)


def read_models(text: str) -> tuple[str, ...]:
    """Read which models a key may name: all, none, or their names with commas between."""
    if text in (EVERY, NO_LIMIT):
        return EVERY_MODEL if text == EVERY else ()
    return tuple(name.strip() for name in text.split(",") if name.strip())


def read_duration_us(text: str) -> int:
    """Read a duration such as 24h, 30m or 7d."""
    found = _DURATION.fullmatch(text.strip())
    if found is None:
        raise WrongKey(f"{text!r} is no duration such as 24h, 30m or 7d")
    return int(found[1]) * _SECONDS[found[2]] * _US


def read_instant(text: str, now_us: int) -> int:
    """Read an instant: how long from now, or a day or time (UTC where no zone is named)."""
    if _DURATION.fullmatch(text):
        return now_us + read_duration_us(text)
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise WrongKey(f"{text!r} is no duration (90d, 12h) and no day (2027-01-31)") from None
    return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()) * _US
