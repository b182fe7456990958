"""What the words of a paragraph speak for: work on a text that is there, a wish, a question, somebody's own story.

The words stand in `instruction.toml`: few and telling ones for each language, no weights.
"""

import re
import tomllib
from collections.abc import Iterable
from pathlib import Path

LONGEST_REQUEST = 600  # characters; what is longer is no request but may hold one


class Words:
    """The words of one section of the lexicon: whole words as a set, parts of text as one pattern."""

    def __init__(self, section: dict[str, str]) -> None:
        parts = section.get("parts", "").split() + section.get("phrases", "").split("|")
        self._pattern = "|".join(filter(None, parts)) or "(?!)"
        self._parts: re.Pattern[str] | None = None  # compiled for the first text that is not ASCII
        self._words = frozenset(
            word for name, words in section.items() if name not in ("parts", "phrases") for word in words.split()
        )
        self.have = self._words.__contains__

    def meet(self, words: Iterable[str], text: str) -> bool:
        """Whether one of the words is here, or a part in the text."""
        if not self._words.isdisjoint(words):
            return True
        if text.isascii():
            return False
        if self._parts is None:
            self._parts = re.compile(self._pattern)
        return self._parts.search(text) is not None


_LEXICON = {
    name: Words(section)
    for name, section in tomllib.loads(Path(__file__).with_name("instruction.toml").read_text("utf-8")).items()
}
EDITING, WORKING, REFERENCE = _LEXICON["editing"], _LEXICON["working"], _LEXICON["reference"]
OBJECT, ARTICLE, NOUN = _LEXICON["object"], _LEXICON["article"], _LEXICON["noun"]
AHEAD, ADDRESS, RECKONING = _LEXICON["ahead"], _LEXICON["address"], _LEXICON["reckoning"]
POINTING, OWN, WISH = _LEXICON["pointing"], _LEXICON["own"], _LEXICON["wish"]
GREETING, FAREWELL = _LEXICON["greeting"], _LEXICON["farewell"]

WORD = re.compile(r"[^\s!-,./:-@\[-`{-~¡¿«»„“”‘’（）、。：？！「」،؛؟…]+")
_MARKS = b'!"#$%&()*+,./:;<=>?@[\\]^_`{|}~'
_SPACES = bytes.maketrans(_MARKS, b" " * len(_MARKS))
QUESTION_LABEL = re.compile(
    r"(?:[\w']+ )?(?:question|query|task|instructions?|frage|aufgabe|pregunta|pergunta|domanda|vraag|pytanie"
    r"|вопрос|soru|سؤال|السؤال|प्रश्न|pertanyaan|问题|問題|質問|질문) ?[:：]",
    re.IGNORECASE,
)


def words_of(text: str) -> list[str]:
    """The words of a text in lower case, without punctuation."""
    lowered = text.lower()
    return lowered.encode().translate(_SPACES).decode().split() if text.isascii() else WORD.findall(lowered)


class Hearing:
    """What the words of one block speak for; of a long one the beginning and the end are heard."""

    __slots__ = ("_is_own", "_is_request", "_words", "is_ascii", "part", "text")

    def __init__(self, text: str) -> None:
        self.text = text.rstrip()
        self.part = text if len(text) <= LONGEST_REQUEST else f"{text[:200]} {text[-120:]}"
        self.is_ascii = self.part.isascii()
        self._words: list[str] | None = None
        self._is_own: bool | None = None
        self._is_request: bool | None = None

    @property
    def words(self) -> list[str]:
        """The words in lower case, without the marks around them; read when they are first needed."""
        if self._words is None:
            self._words = words_of(self.part)
        return self._words

    def meets(self, words: Words) -> bool:
        return words.meet(self.words, self.part)

    @property
    def asks(self) -> bool:
        return self.ends_asking or any(map(self.text.__contains__, ("? ", "?\n", "？", "؟", "か。")))

    @property
    def leads_in(self) -> bool:
        return self.text.endswith((":", "："))

    @property
    def ends_asking(self) -> bool:
        return self.text.endswith(("?", "？", "؟", "か。"))

    @property
    def wishes(self) -> bool:
        return any(map(WISH.have, self.words[:2]))

    @property
    def begins_work(self) -> bool:
        return any(map(WORKING.have, self.words[:2]))

    @property
    def begins_request(self) -> bool:
        if not self.words or ARTICLE.have(self.words[0]):
            return False
        return self.wishes or any(EDITING.have(word) or WORKING.have(word) for word in self.words[:4])

    @property
    def refers(self) -> bool:
        """Whether a text that is there is spoken of: `the writer`, `below`, `this story`."""
        if self.meets(REFERENCE):
            return True
        if "this" not in self.words and "these" not in self.words:
            return False
        return any(
            word in ("this", "these") and any(map(NOUN.have, self.words[at + 1 : at + 5]))
            for at, word in enumerate(self.words)
        )

    @property
    def is_own(self) -> bool:
        """Whether somebody speaks of themselves; one word is not enough, people who are quoted say `my` too."""
        if self._is_own is None:
            if self.is_ascii or " " in self.part[:40]:
                self._is_own = sum(map(OWN.have, self.words)) > 1
            else:
                self._is_own = self.meets(OWN)
        return self._is_own

    @property
    def is_request(self) -> bool:
        """Whether the whole block asks for something."""
        if self._is_request is None:
            length = len(self.text)
            self._is_request = (
                length <= LONGEST_REQUEST and (self.ends_asking or self.begins_request or (length < 250 and self.asks))
            ) or QUESTION_LABEL.match(self.text) is not None
        return self._is_request

    @property
    def wants_a_text(self) -> bool:
        """Whether something is to be done to a text that is there."""
        return self.meets(EDITING) or (
            self.meets(WORKING)
            and (
                self.leads_in
                or any(map(OBJECT.have, self.words[1:2]))
                or self.meets(POINTING)
                or self.meets(AHEAD)
                or self.refers
            )
        )
