"""Judges a consumer's instruction: one linear look at its words, its characters and the cues of the lexicon.

What people ask a chat assistant is judged by a head of its own, because the experts of `model` know exams, code and
puzzles only. It reads the instruction alone, never what the instruction works on, so that a long mail to translate is
as easy as a short one. It says how much thinking is needed, as a level from 0 (trivial) to about 4 (very hard) by the
rubric of the corpus that it was taught (classifier/training/consumer), how likely a text is a consumer's at all, the
form of the answer and the stakes. Words are of one language; cues are the same in all seventeen.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from classifier.characters import slots_of
from classifier.cues import ROWS, Cues, answer_type_of, rows_of, stakes_of
from classifier.features import OPTIONS, Features, Floats
from classifier.types import AnswerType, Stakes
from classifier.wording import stripped

WORD_BITS = 17
_WORD_SHIFT = np.array(32 - WORD_BITS, np.uint32)
LEVEL, ODDS, LENGTH, STAKES = range(4)
TYPES = tuple(AnswerType)
COLUMNS = STAKES + 1 + len(TYPES)
# Rows of the cues, then of what the rules of `cues` make of them: a row for each type, the last for high stakes.
HINTS = ROWS + len(TYPES) + 1
_ROW_OF_TYPE = {each: ROWS + at for at, each in enumerate(TYPES)}
# Rather too careful: in a question of few words, only words that speak plainly against a rule of `cues` undo it.
_SHORT, _SPOKEN_AGAINST = 80, -0.23
_FEW_OPTIONS = math.log1p(2.5)
HIGHEST_LEVEL = 5.0  # what is read is not held to the scale, so that order is kept at its end
OF_OPTIONS = -4.0  # added to the odds where answers are offered one a line, as exams do
CERTAIN_ODDS = 2.2  # nine to one; beyond it the experts are not asked, and beyond its opposite the head is not


def chance_of(log_odds: float) -> float:
    """From log-odds to a chance."""
    return 0.0 if log_odds < -30.0 else 1.0 / (1.0 + math.exp(-log_odds))


_CERTAIN, _HARDLY = chance_of(CERTAIN_ODDS), chance_of(-CERTAIN_ODDS)


@dataclass(frozen=True, slots=True)
class ConsumerParameters:
    """The numbers of the head.

    C columns: level, log-odds of a consumer's text, log of output tokens, high stakes (above zero), a score for each
    answer type in the order of `AnswerType` (the highest wins).
    """

    words: Floats  # 2**WORD_BITS, C: by hashed word or pair of words, idf included
    hints: Floats  # HINTS, C: by cue
    characters: Floats  # 2**BITS: what hashed runs of characters add to the level, idf included
    whole: Floats  # 2**WORD_BITS: what words of the whole message add to it, where there is material
    bias: Floats  # C
    chances: Floats  # K, 2: P(correct) at each knot where no thinking is needed, and where it is
    need: Floats  # 2: log-odds that thinking is needed: steepness by level, and the level where they are even
    earlier: Floats  # 3: weight of the turn before, length in characters that halves it, and the usual level
    spread: float  # standard error of the gain, given the level


class ConsumerWord(NamedTuple):
    """What the head says of one instruction. `odds` is minus infinity where there is nothing to read."""

    level: float
    odds: float
    length: float


class ConsumerReading(NamedTuple):
    """The word of the head, with the form of the answer and the stakes."""

    word: ConsumerWord
    answer_type: AnswerType
    stakes: Stakes


NOTHING = ConsumerWord(0.0, -math.inf, 0.0)


def hints_of(cues: Cues, answer_type: AnswerType, stakes: Stakes) -> list[int]:
    """Rows of `hints` that cues touch, and what the rules of `cues` make of them."""
    rows = rows_of(cues)
    rows.append(_ROW_OF_TYPE[answer_type])
    if stakes is Stakes.HIGH:
        rows.append(HINTS - 1)
    return rows


class ConsumerHead:
    """Reads instructions by hashed n-grams and cues; numpy only."""

    def __init__(self, parameters: ConsumerParameters) -> None:
        self.parameters = parameters
        self._words, self._hints, self._characters, self._whole = (
            np.ascontiguousarray(each, np.float32)
            for each in (parameters.words, parameters.hints, parameters.characters, parameters.whole)
        )
        self._bias = parameters.bias.astype(np.float32)
        self._weight, self._half, self._usual = parameters.earlier.tolist()
        self._steepness, self._middle = parameters.need.tolist()

    def read(
        self,
        instruction: str,
        features: Features,
        cues: Cues,
        whole: Features | None = None,
        earlier: str = "",
        earlier_features: Features | None = None,
    ) -> ConsumerReading:
        """Judge an instruction, whose word features and cues are given.

        `whole` is what was read of the whole message, where it brings material: however long, it weighs little. A
        short instruction leans on the turn before it. Of a text that is hardly a consumer's, the rules of `cues` tell
        the form of the answer and the stakes.
        """
        by_rules = ConsumerReading(NOTHING, answer_type_of(cues), stakes_of(cues))
        if not instruction or instruction.isspace():
            return by_rules
        hints = hints_of(cues, by_rules.answer_type, by_rules.stakes)
        columns = np.add.reduce(self._hints.take(np.fromiter(hints, np.intp, len(hints)), axis=0))
        columns += self._columns(features)
        level, odds, length, stakes, *types = columns.tolist()
        if "\n" in instruction and features.surface.item(OPTIONS) > _FEW_OPTIONS:
            odds += OF_OPTIONS
        if odds < -CERTAIN_ODDS:
            return by_rules._replace(word=ConsumerWord(0.0, odds, length))
        level += self._of_characters(instruction)
        if whole is not None and len(whole.grams):
            added = whole.frequencies.dot(self._whole.take(whole.grams >> _WORD_SHIFT)).item()
            level += added / math.sqrt(len(whole.grams))
        if earlier_features is not None:
            before = self._columns(earlier_features).item(LEVEL) + self._of_characters(earlier)
            level += self._weight / (1.0 + len(instruction) / self._half) * (before - self._usual)
        word = ConsumerWord(min(max(level, 0.0), HIGHEST_LEVEL), odds, length)
        if odds < 0.0:
            return by_rules._replace(word=word)
        is_high = stakes > 0.0 or (
            len(instruction) < _SHORT and stakes > _SPOKEN_AGAINST and by_rules.stakes is Stakes.HIGH
        )
        return ConsumerReading(word, TYPES[types.index(max(types))], Stakes.HIGH if is_high else Stakes.LOW)

    def need(self, word: ConsumerWord) -> float:
        """How likely an instruction needs thinking."""
        return chance_of(self._steepness * (word.level - self._middle))

    def _columns(self, features: Features) -> Floats:
        """All columns by words alone, the bias included."""
        grams = features.grams
        if not len(grams):
            return self._bias
        sums: Floats = features.frequencies.dot(self._words.take(grams >> _WORD_SHIFT, axis=0))
        sums *= 1.0 / math.sqrt(len(grams))
        sums += self._bias
        return sums

    def _of_characters(self, text: str) -> float:
        """What runs of characters add to the level."""
        slots = slots_of(stripped(text))
        return self._characters.take(slots).sum().item() / math.sqrt(len(slots)) if len(slots) else 0.0


def share_of(log_odds: float) -> float:
    """The weight of the head's word beside that of the experts: 1 where a text is surely a consumer's, 0 where not."""
    return min(1.0, max(0.0, (chance_of(log_odds) - _HARDLY) / (_CERTAIN - _HARDLY)))
