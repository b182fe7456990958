"""Dates and times as people and models write them, in seventeen languages, brought to ISO form. Pure."""

import datetime
import re
from dataclasses import dataclass

from router.tiers.vote.words import MONTHS, WEEKDAY_NAMES, WEEKDAYS, even, han_number

LONGEST = 80

_NUMERIC = re.compile(
    r"(?P<year>\d{4})(?P<sep>[-/.])(?P<month>\d{1,2})(?P=sep)(?P<day>\d{1,2})"
    r"|(?P<first>\d{1,2})\s?(?P<mark>[-/.])\s?(?P<second>\d{1,2})\s?(?P=mark)\s?(?P<last>\d{4}|\d{2})"
)
_EAST = re.compile(
    r"(?:(?P<year>\d{4}|[〇零一二三四五六七八九]{4})\s*[年년]\s*)?"
    r"(?P<month>\d{1,2}|[一二三四五六七八九十]{1,2})\s*[月월]\s*"
    r"(?:(?P<day>\d{1,2}|[一二三四五六七八九十]{1,3})\s*[日号號일])?"
)
_VIETNAMESE = re.compile(
    r"(?:ngày\s+(?:mùng\s+)?)?(?:(?P<day>\d{1,2})\s+)?tháng\s+(?P<month>\d{1,2})(?:,?\s*(?:năm\s+)?(?P<year>\d{4}))?"
)
_TOKEN = re.compile(r"\d+|[^\W\d_]+(?:[-'][^\W\d_]+)*|[^\w\s,.]")
_FILLERS = frozenset(
    [
        "on",
        "the",
        "of",
        "de",
        "del",
        "d",
        "le",
        "la",
        "el",
        "al",
        "am",
        "den",
        "der",
        "dem",
        "dia",
        "día",
        "il",
        "op",
        "dnia",
        "г",
        "года",
        "год",
        "thn",
        "tanggal",
        "pada",
        "ngày",
        "tahun",
        "में",
        "को",
        "st",
        "nd",
        "rd",
        "th",
        "er",
        "o",
        "a",
        "º",
        "ª",
        "e",
        "ième",
        "i",
        "ad",
        "ce",
    ]
)
_BEFORE_CHRIST = re.compile(r"\s*(?:b\.?\s?c\.?(?:\s?e\.?)?|v\.\s?chr\.?|av\.\s?j\.?-?c\.?|a\.\s?c\.|до н\.?\s?э\.?)$")
_FULL = frozenset(name for name in MONTHS if len(name) > 4 or name in ("may", "june", "july", "mai", "mei", "мая"))

_MINUTES = r"(?P<minute>[0-5]\d)(?:[:.](?P<second>[0-5]\d)(?:\.\d+)?)?"
_TIME = re.compile(
    rf"(?P<before>上午|下午|午前|午後|晚上|早上|凌晨|中午|오전|오후)?\s*(?P<hour>[01]?\d|2[0-4])"
    rf"(?:(?P<colon>[:h.：])\s?{_MINUTES}|\s?(?:uhr|h|時|时|点|點|시|giờ|часов|o'clock)"
    rf"(?:\s?(?P<minute2>[0-5]?\d)\s?(?:分|분|phút|минут|min)?|\s?(?P<half>半|반))?|)"
    r"\s*(?P<half_day>a\.?\s?m\.?|p\.?\s?m\.?|noon|midnight|in the (?:morning|afternoon|evening)|at night)?"
    r"\s*(?:uhr|o'clock|z|utc|gmt)?"
)
_SPOKEN_TIMES = {
    "noon": "12:00", "midday": "12:00", "midnight": "00:00", "mittag": "12:00", "mitternacht": "00:00",
    "midi": "12:00", "minuit": "00:00", "mediodía": "12:00", "medianoche": "00:00", "meio-dia": "12:00",
    "meia-noite": "00:00", "mezzogiorno": "12:00", "mezzanotte": "00:00", "正午": "12:00", "полдень": "12:00",
    "полночь": "00:00",
}  # fmt: skip
_LATE = ("p", "in the afternoon", "in the evening", "at night")


_WITH_TIME = re.compile(r"\d{4}-\d\d-\d\d[t ]\d")
_ON = re.compile(r"^(?:on|am|le|el|il|op|dnia|em|den|pada|in)\s+(?:the\s+|dia\s+|día\s+|tanggal\s+)?")
_MAYBE = re.compile(r"\d\s?[-/.]\s?\d+\s?[-/.]\s?\d|[月월]|(?=.*[^\W\d_]{2})(?=.*\d)", re.DOTALL)


def date_key(text: str, *, day_first: bool = False, is_asked: bool = False, near: int | None = None) -> str | None:
    """Return the date as YYYY-MM-DD (YYYY-MM without a day, --MM-DD without a year), None when the text is no date.

    03/04/2020 is read as March 4 unless `day_first`, or unless that is no date; with points the day comes first.
    Where a date `is_asked`, a year of two digits is read, as the one that lies next to the year `near`.
    """
    text = even(text).strip().strip(".*$`\"' ")
    if len(text) > LONGEST or not text or not _MAYBE.search(text):
        return None
    text = re.sub(r"\s*[(（].[)）]$", "", text.casefold())
    date, _, time = text.replace("t", " ").partition(" ") if _WITH_TIME.match(text) else (text, "", "")
    if time and (clock := time_key(time)):
        day = date_key(date)
        if day is None or clock.value == "00:00":  # what programs print of a date
            return day
        return f"{day}T{clock.value}"
    text = _ON.sub("", text)
    if match := _NUMERIC.fullmatch(_without_weekday(text)):
        return _numeric(match, day_first=day_first, is_asked=is_asked, near=near)
    if any(sign in text for sign in "月월") and (match := _EAST.fullmatch(_without_weekday(text))):
        return _iso(_whole(match["year"]), _whole(match["month"]), _whole(match["day"]))
    if "tháng" in text and (match := _VIETNAMESE.fullmatch(_without_weekday(text))):
        return _iso(_whole(match["year"]), _whole(match["month"]), _whole(match["day"]))
    return _from_tokens(text)


def last_date(text: str, *, day_first: bool = False, is_asked: bool = False, near: int | None = None) -> str | None:
    """Return the last date that stands in the text, as `date_key` does; only its last part is looked at."""
    folded = even(text[-1500:])
    numeric = None
    for numeric in _IN_TEXT.finditer(folded):  # noqa: B007
        pass
    if not _WORDS.isdisjoint(re.findall(r"[^\W\d_]+|[月월]", folded.casefold())) or "月" in folded:
        for match in reversed(list(_YEARLY.finditer(folded, numeric.start() if numeric else 0))):
            for start, end in _spans(folded, match):
                if key := date_key(folded[start:end], day_first=day_first, is_asked=is_asked, near=near):
                    return key
    return date_key(numeric[0], day_first=day_first, is_asked=is_asked, near=near) if numeric else None


_LASTING = re.compile(r"h$|h\s|시간|小时|時間|min$|(?<![日夜午])[時时]\s?\d+\s?分間|分間")


def weekday(text: str) -> str | None:
    """Return the English name of a weekday, None when the text is none."""
    place = WEEKDAYS.get(text.casefold().strip(" .!*"))
    return WEEKDAY_NAMES[place - 1] if place else None


@dataclass(frozen=True, slots=True)
class TimeOfDay:
    """A time of day as HH:MM(:SS); `bare` is without knowledge of the half of the day."""

    value: str
    bare: str


def time_key(text: str, *, is_asked: bool = False) -> TimeOfDay | None:
    """Return the time of day, None when the text is none. 4:30 without a half of the day stays 4:30.

    "7 h" is a time only where one `is_asked`.
    """
    folded = even(text).casefold().strip().strip("*$`\"'").strip().rstrip(".")
    folded = re.sub(r"^(?:at|um|à|a las|a la|às|alle|om|o|в|saat|pukul|jam|lúc)\s+", "", folded)
    if folded in _SPOKEN_TIMES:
        return TimeOfDay(_SPOKEN_TIMES[folded], _SPOKEN_TIMES[folded].lstrip("0"))
    if len(folded) > 40 or not (match := _TIME.fullmatch(folded)):
        return None
    is_plain = match["colon"] is None and match["half_day"] is None and not re.search(r"[^\d\s]", folded)
    if is_plain or (match["colon"] in (".", "h") and match["half_day"] is None and "h" not in folded):
        return None
    if not is_asked and _LASTING.search(folded):
        return None
    hour, minute = int(match["hour"]), int(match["minute"] or match["minute2"] or (30 if match["half"] else 0))
    second = f":{match['second']}" if match["second"] not in (None, "00") else ""
    half = (match["half_day"] or "").strip()
    is_late = half.startswith(_LATE) or half == "noon" or match["before"] in ("下午", "午後", "晚上", "오후", "中午")
    is_early = bool(half or match["before"]) and not is_late
    if is_late and hour < 12:
        hour += 12
    if is_early and hour == 12:
        hour = 0
    bare = f"{(hour - 1) % 12 + 1}:{minute:02d}{second}"
    if not (is_late or is_early) and 1 <= hour <= 12 and not match["hour"].startswith("0"):
        return TimeOfDay(bare, bare)
    return TimeOfDay(f"{hour % 24:02d}:{minute:02d}{second}", bare)


_CLOCKS = re.compile(
    r"(?<![\d:.])[012]?\d(?:[:.][0-5]\d(?::[0-5]\d)?)?\s?(?:[ap]\.?\s?m\b\.?|uhr)|(?<![\d:])[012]?\d[:h][0-5]\d(?![\d:])"
    r"|(?:上午|下午|午前|午後|오전|오후)?\s?\d{1,2}\s?[時时点點시]\s?(?:\d{1,2}\s?[分분]|半|반)?",
    re.IGNORECASE,
)


def last_time(text: str) -> TimeOfDay | None:
    """Return the last time of day that stands in the text; only its last part is looked at."""
    found = [m[0] for m in _CLOCKS.finditer(even(text[-600:]))]
    return next((clock for written in reversed(found) if (clock := time_key(written))), None)


_IN_TEXT = re.compile(
    rf"(?<![\d./-])(?:{re.sub('[?]P<([a-z]+)>', '?:', _NUMERIC.pattern)})(?![\d/-])".replace(
        "(?P=sep)", "[-/.]"
    ).replace("(?P=mark)", "[-/.]")
)
_WORDS = frozenset(MONTHS) | {"월", "tháng"}
_YEARLY = re.compile(
    r"(?<!\d)\d{4}(?!\d)|(?<![\d.])\d{1,2}[-/.]\d{1,2}[-/.]\d{2}(?!\d)|[月월]\s*\d{1,2}\s*[日号일]"
    r"|(?<![\w.])(?:\d{1,2}(?:st|nd|rd|th|\.)?\s+(?:of\s+|de\s+)?)?[^\W\d_]{3,12}\.?\s*\d{0,2}(?:st|nd|rd|th)?(?!\w)"
)


def _spans(text: str, match: re.Match[str]) -> list[tuple[int, int]]:
    """Return the stretches around a year that may be its date, the longest first."""
    start, end = match.span()
    if not any(sign.isdigit() for sign in match[0]):
        return []
    begin, stop = max(0, start - 40), min(len(text), end + 40)
    before, after = text[begin:start], text[end:stop]
    starts = [
        begin + m.start() for m in re.finditer(r"(?<!\S)\S|(?<=[(,:])\S|(?<=[是为於于年])\d|\d{4}(?=[年년])", before)
    ]
    ends = [end + m.end() for m in re.finditer(r"\S(?=[\s.,;:!?)]|$)|[日日号월일月]", after)]
    ends = [*(e for e in ends if e - end <= 24), end]
    spans = [(s, e) for s in (*starts, start) for e in sorted(set(ends), reverse=True)]
    return sorted(spans, key=lambda span: span[0] - span[1])[:160]


def _numeric(match: re.Match[str], *, day_first: bool, is_asked: bool, near: int | None) -> str | None:
    if match["year"]:
        return _iso(int(match["year"]), int(match["month"]), int(match["day"]))
    first, second, last = int(match["first"]), int(match["second"]), match["last"]
    if len(last) == 2 and not (is_asked and match["mark"] in "/."):
        return None
    year = int(last) if len(last) == 4 else _whole_year(int(last), near)
    swaps = (day_first or match["mark"] == ".") and second <= 12
    month, day = (second, first) if swaps or first > 12 else (first, second)
    return _iso(year, month, day)


def _whole_year(short: int, near: int | None) -> int:
    """Return the year that two digits mean: the one next to `near`, else one from 1950 to 2049."""
    if near is None:
        return short + (2000 if short < 50 else 1900)
    century = near - near % 100
    return min((century + shift + short for shift in (-100, 0, 100)), key=lambda year: abs(year - near))


def _from_tokens(text: str) -> str | None:
    era = _BEFORE_CHRIST.search(text)
    if era:
        text = text[: era.start()]
    year = month = day = None
    is_full = False
    for token in _TOKEN.findall(text):
        if token.isdigit():
            if len(token) <= 2 and day is None:
                day = int(token)
            elif (len(token) in (3, 4) or (era and day is not None)) and year is None:
                year = int(token)
            else:
                return None
        elif token in MONTHS and month is None:
            month, is_full = MONTHS[token], token in _FULL
        elif token not in _FILLERS and token not in WEEKDAYS:
            return None
    if month is None or (year is None and not (day is not None and is_full)):
        return None
    if era and year is not None:
        return f"-{_iso(year, month, day)}" if _iso(year, month, day) else None
    return _iso(year, month, day)


def _iso(year: int | None, month: int | None, day: int | None) -> str | None:
    if month is None or (year is None and day is None):
        return None
    try:
        date = datetime.date(2000 if year is None else year, month, 1 if day is None else day)
    except ValueError:
        return None
    if year is None:
        return f"--{date:%m-%d}"
    return date.isoformat() if day is not None else date.isoformat()[:7]


def _without_weekday(text: str) -> str:
    if text[:1].isdigit() and text[-1:].isdigit():
        return text
    words = re.split(r"[\s,]+|(?=[(（])", text)
    if len(words) > 1 and words[0].rstrip(".,") in WEEKDAYS:
        return " ".join(words[1:]).strip(" ,")
    last = words[-1].strip("()（）., ")
    if len(words) > 1 and last in WEEKDAYS:
        return text[: text.rfind(words[-1])].strip(" ,")
    for name in WEEKDAYS:
        if name[0] > "\u2e80" and text.endswith(name):
            return text[: -len(name)].strip()
    return text


def _whole(text: str | None) -> int | None:
    if text is None:
        return None
    return int(text) if text.isdigit() else han_number(text)
