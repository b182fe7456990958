"""What samples say instead of an answer, told by closed sets of forms in seventeen languages (`phrases.toml`). Pure.

Only the beginning and the end of a text are looked at, so that the time it takes is bounded whatever the text.
"""

import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from router.tiers.vote.readings import Said

LONGEST_REFUSAL = 900
LONGEST_QUESTION_BACK = 700
LONGEST_FAILURE = 600
SHORT = 240  # characters: what is no longer is judged as a whole
EDGE = 300

_LEXICON: dict[str, dict[str, str]] = tomllib.loads(Path(__file__).with_name("phrases.toml").read_text("utf-8"))
_PUNCTUATION = str.maketrans({sign: f" {sign} " for sign in '.,!?;:()[]"“”„«»*_`…¿¡。，！？；：、「」؟،।'} | {"’": "'"})
_FIRST_UNSPACED = "\u0590"  # scripts from here on are searched without regard to the edges of words


@dataclass(frozen=True, slots=True)
class Aside:
    """What a text says instead of an answer; where it `guesses` all the same, its guess may be read."""

    said: Said
    guesses: bool = False


class Phrases:
    """A section of the lexicon, to be found in folded texts."""

    def __init__(self, phrases: Iterable[str]) -> None:
        self._by_word: dict[str, tuple[str, ...]] = {}
        self._by_sign: dict[str, tuple[str, ...]] = {}
        for raw in phrases:
            phrase = _fold(raw).strip()
            if not phrase:
                continue
            if phrase[0] >= _FIRST_UNSPACED:
                self._by_sign[phrase[0]] = (*self._by_sign.get(phrase[0], ()), phrase)
                continue
            is_whole = raw.endswith(" ") or phrase[-1] in ".,!?:"
            word = phrase.split(" ", 1)[0]
            of_word = self._by_word.get(word if " " in phrase or is_whole else "", ())
            spaced = f" {phrase} " if is_whole else f" {phrase}"
            self._by_word[word if " " in phrase or is_whole else ""] = (*of_word, spaced)

    def find(self, folded: str, start: int = 0) -> tuple[int, int]:
        """Return where the first phrase stands, the longest of equals, and its length; (-1, 0) when there is none."""
        best, length = -1, 0
        candidates = [self._by_word.get("", ())]
        candidates += [self._by_word[word] for word in self._by_word.keys() & folded.split(" ")]
        if not folded.isascii():
            candidates += [self._by_sign[sign] for sign in self._by_sign.keys() & set(folded)]
        for phrases in candidates:
            for phrase in phrases:
                at = folded.find(phrase, start)
                if at >= 0 and (best < 0 or at < best or (at == best and len(phrase) > length)):
                    best, length = at, len(phrase)
        return best, length

    def stands_in(self, folded: str) -> bool:
        """Tell whether any phrase stands in the text."""
        return self.find(folded)[0] >= 0


def aside_of(text: str, question: str, *, is_closed: bool) -> Aside | None:
    """Tell what a text says instead of an answer, None when it seems to answer.

    `is_closed` says that the question asks for one short answer, such as a number.
    """
    stripped = text.strip()
    if says_nothing(stripped) or _repeats(stripped, question):
        return Aside(Said.NON_ANSWER)
    if fails(stripped, question):
        return Aside(Said.NON_ANSWER)
    head, tail = _edges(stripped)
    if len(stripped) <= LONGEST_QUESTION_BACK and _asks_back(stripped, tail, question, is_closed=is_closed):
        return Aside(Said.QUESTION_BACK)
    if not is_closed:
        head = head.split(" . ", 1)[0] + " . " if len(stripped) > 90 else head
    unknown, refused = _find_unknown(head), (-1, 0)
    if len(stripped) <= LONGEST_REFUSAL:
        refused = _REFUSES.find(head)
    if refused[0] >= 0 and not _is_about(refused, head, question):
        comes_later = unknown[0] >= 0 and (unknown[0] < refused[0] or (unknown[0] == refused[0] and unknown > refused))
        if not comes_later and not (is_closed and unknown[0] >= 0):
            return Aside(Said.REFUSAL, guesses=_GUESSES.find(head, refused[0])[0] >= 0)
    if len(stripped) > SHORT:
        if not is_closed:
            return None
        head, unknown = tail, _find_unknown(tail)
    if unknown[0] >= 0 and not is_closed and _UNKNOWN.stands_in(_fold(question[-400:])):
        return None
    if unknown[0] >= 0 and not _is_about(unknown, head, question):
        return Aside(Said.NON_ANSWER, guesses=_GUESSES.find(head, unknown[0] + unknown[1] - 1)[0] >= 0)
    return None


def _find_unknown(folded: str) -> tuple[int, int]:
    """Return where a text says that it does not know; what "he could not find" is part of a story."""
    found = _UNKNOWN.find(folded)
    for _ in range(8):
        if found[0] < 0 or folded[: found[0] + 1].rstrip().rpartition(" ")[2] not in _OTHERS:
            break
        found = _UNKNOWN.find(folded, found[0] + 1)
    return found


_OTHERS = frozenset(("he", "she", "they", "who"))


def says_nothing(text: str) -> bool:
    """Tell whether a text is empty or a word for nothing."""
    bare = text.strip(" \t\n.!*_`'\"()[]{}<>$#:。！").casefold()
    return not bare or bare in _NOTHING or text.strip() in _NOTHING


def fails(text: str, question: str) -> bool:
    """Tell whether a text is the error message of a tool or a server, and the question is not about errors."""
    if len(text) > LONGEST_FAILURE and not text.startswith("Traceback"):
        return False
    start = (text.partition("\n")[2] if text.startswith("```") else text).lstrip("*_`#>\"' \t\n[{(⚠️❌").casefold()[:40]
    if not start.startswith(_FAILS) and not _ERROR_CLASS.match(start):
        return False
    return not _ABOUT_ERRORS.search(question[:4000])


def _asks_back(text: str, tail: str, question: str, *, is_closed: bool) -> bool:
    last = tail.rstrip(" .!*_。！")
    is_question = last.endswith(("?", "？", "؟"))
    if not is_question and not _IMPERATIVE.search(tail):
        return False
    if _WANTS_QUESTION.search(question[-2000:]) or _OFFERS.stands_in(tail):
        return False
    sentence = re.split(r"[.!。！।\n](?=.)", last[:-1] if is_question else last)[-1]
    if _ASKS.stands_in(f" {sentence.strip()} "):
        return not (is_closed and re.search(r"\d", text) and len(text) > SHORT)
    return is_question and is_closed and len(text) <= SHORT and not re.search(r"\d", text) and text.count("?") == 1


def _repeats(text: str, question: str) -> bool:
    """Tell whether a text is the question again, or its last sentence."""
    if len(text) > len(question) + 60 or len(text) < 8:
        return False
    said = _words(text)
    if len(said) < 3 and len(text) < 12:
        return False
    asked = _words(question[-4000:])
    if said == asked:
        return True
    short, long = (said, asked) if len(said) <= len(asked) else (asked, said)
    if not short or not text.rstrip(" *_\"'").endswith(("?", "？", "؟")):
        return False
    is_tail = long[-len(short) :] == short
    return is_tail and (len(short) >= 4 or len("".join(short)) >= 10)


def _is_about(found: tuple[int, int], folded: str, question: str) -> bool:
    """Tell whether the words are the question's own: a title or a quotation that is asked about."""
    phrase = folded[found[0] : found[0] + found[1]].strip()
    return len(phrase) >= 8 and phrase in _fold(question[:2000])


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.casefold())


def _edges(text: str) -> tuple[str, str]:
    """Return the folded beginning and the folded last sentences."""
    if len(text) <= SHORT:
        folded = _fold(text)
        return folded, folded
    end = text[-EDGE:]
    cut = re.search(r"[.!?。！？؟।\n]\s*(?=\S)", end)
    return _fold(text[:EDGE]), _fold(end[cut.end() :] if cut else end)


def _fold(text: str) -> str:
    return f" {' '.join(text.casefold().translate(_PUNCTUATION).split())} "


def _phrases(section: str) -> list[str]:
    found = []
    for language in _LEXICON[section].values():
        found += [phrase.lstrip() for phrase in language.strip().replace("\n", " ").split(";")]
    return found


_UNKNOWN, _REFUSES, _ASKS = (Phrases(_phrases(name)) for name in ("does_not_know", "refuses", "asks_back"))
_OFFERS, _GUESSES = Phrases(_phrases("offers")), Phrases(_phrases("guesses"))
_NOTHING = frozenset(phrase.strip() for phrase in _phrases("says_nothing"))
_FAILS = tuple(phrase.strip() for phrase in _phrases("fails") if phrase.strip())
_ERROR_CLASS = re.compile(r"[a-z_.]{2,30}(?:error|exception)\b\s?[:(]")
_ABOUT_ERRORS = re.compile(
    r"\b(?:errors?|exceptions?|raises?d?|thrown?s?|http|status code|traceback|fehler|erreur|excepci[oó]n|prints?|"
    r"output|returns?|javascript|nan|null|undefined|ошибк\w*|hata|błąd)\b|错误|エラー|오류|lỗi",
    re.IGNORECASE,
)
_WANTS_QUESTION = re.compile(
    r"\b(?:questions?|ask me|quiz|riddles?|interview|fragen?|frage mich|préguntame|preguntas?|perguntas?|domande?|"
    r"vragen|pytani\w*|вопрос\w*|soru\w*|pretend|role-?play|act as|you are)\b"
    r"|问题|提问|質問|질문|câu hỏi|pertanyaan|سؤال|أسئلة|सवाल|प्रश्न",
    re.IGNORECASE,
)
_IMPERATIVE = re.compile(
    r" (?:please (?:provide|clarify|specify|share|give|tell)|bitte (?:gib|geben|nenne|nennen|teile)|veuillez|"
    r"por favor,? (?:proporcion|indi|informe|forneça|aclar)|proszę (?:o podanie|podać|doprecyzować)|уточните|"
    r"пожалуйста , (?:укажите|уточните)|lütfen (?:belirt|paylaş)|vui lòng (?:cung|cho)|mohon (?:berikan|sebutkan))"
    r"|请提供|请告诉|请说明|请补充|教えてください|お知らせください|ご提供ください|말씀해 주세요|알려 주세요|알려주세요"
    r"|제공해 주세요|يرجى تقديم|يرجى توضيح|कृपया बताएं|कृपया स्पष्ट"
)
