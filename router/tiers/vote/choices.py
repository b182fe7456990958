"""Choices by letter, by number or by their text, and yes or no in many languages. Pure."""

import re
from collections.abc import Mapping

from router.tiers.vote.names import name_key
from router.tiers.vote.words import VERDICTS

LONGEST_QUESTION = 20_000

_MARKER = re.compile(r"(?:^|(?<=\s))\(?([A-Ja-j]|[1-9])[).:]\s")
_NUMBERED = re.compile(
    r"\b(?:which|choose|choice|option|select|pick|correct|multiple|best|following|answer with|welche|wähle|richtig"
    r"|quelle?|choisi|cuál|elige|qual|escolh|scegli|quale|kies|welke|wybierz|któr|выбер|какой|какое|hangisi|seç|اختر|أي|चुन|कौन"
    r"|trong các|chọn|pilih|manakah)|选|選|下列|哪|どれ|次の|고르|다음 중",
    re.IGNORECASE,
)
_LETTER = re.compile(
    r"(?:the\s+)?(?:correct\s+)?(?:option|choice|answer|antwort|réponse|opción|opção|opzione|optie|opcja"
    r"|вариант|ответ|seçenek|lựa chọn|đáp án|pilihan|jawaban|选项|選項|選択肢|보기|الخيار|विकल्प)?"
    r"\s*[:#]?\s*[(\[（]?\s*([A-Za-z]|[1-9])\s*(?:[)\]）.:,、-].*|$)",
    re.IGNORECASE | re.DOTALL,
)
_SEVERAL = re.compile(r"[(\[]?([A-Ja-j])[)\]]?(?:\s*(?:,|and|&|und|et|y|e|en|i|и)\s*[(\[]?([A-Ja-j])[)\]]?)+")
_OPENING = re.compile(r"^[\W_]*([^\W\d_]+)(?=[\W_]|$)")
_LETTER_IN_LINE = re.compile(
    r"\(([A-J])\)|\b(?:option|choice|opción|opção|opzione|antwort|réponse|вариант)\s+\(?([A-J])\b"
    r"|选项?\s?([A-J])|([A-J])(?:です|입니다|选项)|(?:^|\s)\**([A-J])\**[.)]?\**\s*$"
)


def read_options(question: str) -> dict[str, str] | None:
    """Return what stands beside the letters (or numbers) of a question's options, None where it has none."""
    question = question[-LONGEST_QUESTION:]
    markers = list(_MARKER.finditer(question))
    if len(markers) < 2:
        return None
    options: dict[str, str] = {}
    kinds = {"A": str.isupper, "a": str.islower, "1": str.isdigit}
    for first, is_kind in kinds.items():
        of_kind = [m for m in markers if is_kind(m[1])]
        starts = [n for n, m in enumerate(of_kind) if m[1] == first]
        if not starts or (first == "1" and not _NUMBERED.search(question)):
            continue
        options = {}
        for n in range(starts[-1], len(of_kind)):
            if ord(of_kind[n][1]) != ord(first) + len(options):
                break
            end = of_kind[n + 1].start() if n + 1 < len(of_kind) else len(question)
            options[of_kind[n][1].upper()] = (
                question[of_kind[n].end() : min(end, of_kind[n].end() + 300)].split("\n")[0].strip()
            )
        if len(options) >= 2:
            return options
    return None


def choice_of(answer: str, options: Mapping[str, str]) -> str | None:
    """Return the letter, the number, or several letters ("A,C") of a choice; None when the answer is none of them."""
    folded = name_key(answer)
    for letter, text in options.items():
        if folded and text and name_key(text) == folded:
            return letter
    if match := _LETTER.fullmatch(answer):
        letter = match[1].upper()
        if letter in options or (not options and "A" <= letter <= "J"):
            return letter
    if options and _SEVERAL.fullmatch(answer.strip()):
        letters = sorted(set(re.findall(r"\b[A-J]\b", answer.upper())) - ({"E"} if "E" not in options else set()))
        if len(letters) > 1 and all(letter in options for letter in letters):
            return ",".join(letters)
    return None


def only_option_in(text: str, options: Mapping[str, str]) -> str | None:
    """Return the only option whose text stands in a sentence, None when there is none or more than one."""
    folded = f" {name_key(text)} "
    named = [letter for letter, option in options.items() if (key := name_key(option)) and f" {key} " in folded]
    return named[0] if len(named) == 1 else None


def letter_in(line: str) -> str | None:
    """Return the last letter that a line chooses."""
    letters = _LETTER_IN_LINE.findall(line[-600:])
    return "".join(letters[-1]).upper() if letters else None


def verdict_of(answer: str) -> str | None:
    """Return yes, no or uncertain when the answer is no more than that."""
    return VERDICTS.get(answer.casefold().strip(" .!*。！।'\"").replace("’", "'"))


def opening_verdict(text: str) -> str | None:
    """Return yes or no when the text opens with it: "Yes, because"."""
    match = _OPENING.match(text[:60])
    verdict = VERDICTS.get(match[1].casefold()) if match else None
    if verdict is None:
        start = text.lstrip(" *_\"'")[:4]
        verdict = next((VERDICTS[w] for w in _UNSPACED if start.startswith(w) and start[len(w) :][:1] in _STOPS), None)
    return verdict if verdict != "uncertain" else None


def closing_verdict(line: str) -> str | None:
    """Return yes, no or uncertain when a line ends in it and does not negate it: "The conclusion is true."."""
    match = _CLOSING.search(line[-80:])
    return None if match is None or match[1] else VERDICTS.get(match[2].casefold())


_CLOSING = re.compile(r"(\b(?:not|nicht|pas|no|não|non|niet|nie|не)\s+)?\b([^\W\d_]+)[\W_]*$", re.IGNORECASE)
_UNSPACED = sorted((w for w in VERDICTS if w[0] > "\u2e80"), key=len, reverse=True)
_STOPS = frozenset(("", "，", "。", "、", ",", ".", "！", " "))
