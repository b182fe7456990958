"""Judges how much thinking a consumer's instruction needs: one linear look at its words and its characters.

What people ask a chat assistant is judged by a head of its own, because the experts of `model` know exams, code and
puzzles only. It reads the instruction alone, never what the instruction works on, so that a long mail to translate is
as easy as a short one. Its word is a level from 0 (trivial) to about 4 (very hard), by the rubric of the corpus that it
was taught (classifier/training/consumer), and how likely a text is a consumer's at all.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from classifier.characters import slots_of
from classifier.features import OPTIONS, Features, Floats
from classifier.wording import stripped

WORD_BITS = 17
_WORD_SHIFT = np.array(32 - WORD_BITS, np.uint32)
LEVEL, ODDS, LENGTH, STAKES = range(4)
_FEW_OPTIONS = math.log1p(2.5)
_AGAINST = 0.035
HIGHEST_LEVEL = 5.0  # what is read is not held to the scale, so that order is kept at its end
OF_OPTIONS = -4.0  # added to the odds where answers are offered one a line, as exams do
CERTAIN_ODDS = 6.0  # beyond it the experts are not asked


@dataclass(frozen=True, slots=True)
class ConsumerParameters:
    """The numbers of the head. C = 4 columns: level, log-odds of a consumer's text, log of output tokens, stakes."""

    words: Floats  # 2**WORD_BITS, C: by hashed word or pair of words, idf included
    characters: Floats  # 2**BITS: what hashed runs of characters add to the level, idf included
    whole: Floats  # 2**WORD_BITS: what words of the whole message add to it, where there is material
    bias: Floats  # C
    chances: Floats  # K, 2: P(correct) at each knot where no thinking is needed, and where it is
    need: Floats  # 2: log-odds that thinking is needed: steepness by level, and the level where they are even
    earlier: Floats  # 3: weight of the turn before, length in characters that halves it, and the usual level
    stakes: Floats  # 2: what the rules of `cues` add where they say high, and the sum from which stakes are high
    spread: float  # standard error of the gain, given the level


class ConsumerWord(NamedTuple):
    """What the head says of one instruction. `odds` is minus infinity where there is nothing to read."""

    level: float
    odds: float
    length: float


NOTHING = ConsumerWord(0.0, -math.inf, 0.0)


class ConsumerHead:
    """Reads instructions by hashed n-grams; numpy only."""

    def __init__(self, parameters: ConsumerParameters) -> None:
        self.parameters = parameters
        self._words = np.ascontiguousarray(parameters.words, np.float32)
        self._characters = np.ascontiguousarray(parameters.characters, np.float32)
        self._whole = np.ascontiguousarray(parameters.whole, np.float32)
        self._bias: list[float] = parameters.bias.tolist()
        self._weight, self._half, self._usual = parameters.earlier.tolist()
        self._steepness, self._middle = parameters.need.tolist()
        self._by_rules, self._least_high = parameters.stakes.tolist()

    def read(
        self,
        instruction: str,
        features: Features,
        whole: Features | None = None,
        earlier: str = "",
        earlier_features: Features | None = None,
    ) -> ConsumerWord:
        """Judge an instruction, whose word features are given.

        `whole` is what was read of the whole message, where it brings material: however long, it weighs little. A
        short instruction leans on the turn before it.
        """
        if not instruction or instruction.isspace():
            return NOTHING
        level, odds, length = self._columns(instruction, features)
        if features.surface.item(OPTIONS) > _FEW_OPTIONS:
            odds += OF_OPTIONS
        if whole is not None and len(whole.grams):
            added = whole.frequencies.dot(self._whole.take(whole.grams >> _WORD_SHIFT)).item()
            level += added / math.sqrt(len(whole.grams))
        if earlier_features is not None:
            before, _, _ = self._columns(earlier, earlier_features)
            level += self._weight / (1.0 + len(instruction) / self._half) * (before - self._usual)
        return ConsumerWord(min(max(level, 0.0), HIGHEST_LEVEL), odds, length)

    def are_stakes_high(self, features: Features, *, by_rules: bool) -> bool:
        """Whether the words of an instruction, and the rules of `cues` with them, say that much is at stake."""
        words = 0.0
        if grams := len(features.grams):
            rows = self._words[:, STAKES].take(features.grams >> _WORD_SHIFT)
            words = features.frequencies.dot(rows).item() / math.sqrt(grams)
        if by_rules and words > -_AGAINST:  # rather too careful: only words that speak against it undo a rule
            return True
        return bool(self._bias[STAKES] + self._by_rules * by_rules + words >= self._least_high)

    def need(self, word: ConsumerWord) -> float:
        """How likely an instruction needs thinking."""
        return chance_of(self._steepness * (word.level - self._middle))

    def _columns(self, text: str, features: Features) -> tuple[float, float, float]:
        grams, slots = features.grams, slots_of(stripped(text))
        level, odds, length, _ = self._bias
        if len(grams):
            sums = features.frequencies.dot(self._words.take(grams >> _WORD_SHIFT, axis=0)).tolist()
            share = 1.0 / math.sqrt(len(grams))
            level, odds, length = level + share * sums[0], odds + share * sums[1], length + share * sums[2]
        if len(slots):
            level += self._characters.take(slots).sum().item() / math.sqrt(len(slots))
        return level, odds, length


def chance_of(log_odds: float) -> float:
    """From log-odds to a chance."""
    return 0.0 if log_odds < -30.0 else 1.0 / (1.0 + math.exp(-log_odds))
