"""One user turn, read by itself and next to the one before it: its words, its language, what it leans on.

Pure. Nothing here knows of scores or of the rest of the conversation.
"""

import re
from dataclasses import dataclass
from functools import cached_property, lru_cache

from classifier.types import Turn
from router.conversation import language, phrases

READ_CHARS = 1_000
REPLY_CHARS = 600
SHORT_CHARS = 240
OPENING_CHARS = 160
_CJK = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]")


@dataclass
class Utterance:
    """What a user said in one go: one message, or several in a row. `reply` is the answer it reacts to."""

    turns: tuple[Turn, ...]
    reply: str | None
    before: "Utterance | None" = None  # the last one that asked for something

    @cached_property
    def text(self) -> str:
        """The words as they are matched: case-folded, plain apostrophes, only the beginning of a long text."""
        return fold("\n".join(turn.text for turn in self.turns))

    @cached_property
    def words(self) -> list[str]:
        """The words of the text."""
        return phrases.words_of(self.text)

    @cached_property
    def content(self) -> list[str]:
        """The words that have a subject of their own."""
        return [word for word in self.words if word not in phrases.LIGHT]

    @cached_property
    def weight(self) -> int:
        """How many words carry a subject; in scripts without spaces two characters count as one."""
        return sum(max(1, len(word) // 2) if _CJK.search(word) else 1 for word in self.content)

    @cached_property
    def stems(self) -> frozenset[str]:
        """The beginnings of the words that have a subject."""
        return _stems(self.text)

    @property
    def opening(self) -> str:
        """The first words, where people say how they relate to what was said."""
        return self.text[:OPENING_CHARS]

    @property
    def has_attachments(self) -> bool:
        """Tell whether images, sounds or files came along."""
        return any(turn.attachments for turn in self.turns)

    @property
    def is_substantial(self) -> bool:
        """Tell whether a follow-up is a question in its own right, which later ones may refer to."""
        return self.weight >= 4 or len(self.text) > SHORT_CHARS or self.has_attachments

    @cached_property
    def is_thanks(self) -> bool:
        """Tell whether nothing is asked: thanks, a greeting, a goodbye; "ok" to a question is a go-ahead."""
        if len(self.text) > 100 or self.has_attachments or not 0 < len(self.words) <= 12:
            return False
        text = " ".join(self.words)
        if not phrases.THANKS.fullmatch(text):
            return False
        return not (self.answers and phrases.ACKNOWLEDGED.fullmatch(text))

    @cached_property
    def answers(self) -> bool:
        """Tell whether this may be the answer to a question in the reply."""
        asked = self.reply is not None and self.reply.rstrip()[-80:].rstrip("*_\"')] ").endswith(("?", "？", "؟"))
        return asked and not any(mark in self.text for mark in "?？؟")

    @property
    def is_short_answer(self) -> bool:
        """Tell whether this is a short answer to a question in the reply."""
        if not self.answers or not self.words:
            return False
        return self.words[0] in phrases.NO or (len(self.words) <= 6 and self.words[0] not in phrases.REQUEST)

    @property
    def changes_topic(self) -> bool:
        """Tell whether the user says that this is about something else."""
        return phrases.TOPIC_CHANGE.match(self.opening) is not None

    @property
    def pushes_back(self) -> bool:
        """Tell whether the user says, early on, that the last answer did not satisfy."""
        if len(self.words) == 1 and self.words[0] in phrases.NO:
            return True
        return _finds_fault(self.opening)

    @property
    def is_bare(self) -> bool:
        """Tell whether this says nothing of its own, so that only what it refers to can be estimated."""
        if self.has_attachments or len(self.text) > SHORT_CHARS:
            return False
        if phrases.BARE.fullmatch(self.text) or not self.content:
            return True
        is_fragment = len(self.words) <= 6 and self.weight <= 2
        return is_fragment and (self.is_short_answer or phrases.LEANING.search(self.text) is not None)

    def repeats(self, other: "Utterance") -> bool:
        """Tell whether the same is asked again."""
        return self.text == other.text and not self.has_attachments

    def is_related_to(self, other: "Utterance") -> bool:
        """Tell whether this leans on the other one or on the answer to it; when in doubt it does."""
        if phrases.LEANING.search(self.opening) or phrases.BARE.fullmatch(self.opening) or not self.content:
            return True
        if self.weight <= 3 and phrases.ANAPHORA.search(self.opening):
            return True
        stems = self.stems
        if stems & other.stems or len(stems & _stems(fold((self.reply or "")[:REPLY_CHARS]))) >= min(2, len(stems)) > 0:
            return True
        if self.weight <= 1:
            return not phrases.FRESH & set(self.content)
        mine, theirs = language.guess(self.text), language.guess(other.text)
        return mine is not None and theirs is not None and mine != theirs


def fold(text: str) -> str:
    """Fold a text for matching."""
    return text[:READ_CHARS].casefold().replace("’", "'").replace("‘", "'").strip()


@lru_cache(maxsize=4_096)
def _finds_fault(opening: str) -> bool:
    """Search the longest of the patterns; kept for a while, because every message comes again as history."""
    match = phrases.PUSHBACK.search(opening)
    return match is not None and match.start() <= OPENING_CHARS // 2


def _stems(text: str) -> frozenset[str]:
    """Cut words to their first letters, and scripts without spaces into pairs of characters."""
    words = phrases.words_of(text)
    if text.isascii():
        return frozenset(word[:6] for word in words if len(word) >= 3 and word not in phrases.LIGHT)
    stems: set[str] = set()
    for word in words:
        if _CJK.search(word):
            stems.update(word[at : at + 2] for at in range(len(word) - 1))
        elif len(word) >= 3 and word not in phrases.LIGHT:
            stems.add(word[:6])
    return frozenset(stems)
