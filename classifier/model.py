"""Serves estimates: one pass over the hashed n-grams of a conversation, then a few small products. numpy only.

The model is a mixture of linear experts, one for each kind of traffic seen in training, chosen softly by a gate. An
expert says how the logit of P(correct) grows with a model's ability, at a few knots of the ability scale: this is a
two-parameter item response model whose difficulty and discrimination are read from the text.
"""

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from classifier.abilities import canonical
from classifier.conversation import summarise
from classifier.cues import Cues, answer_type_of, stakes_of
from classifier.features import Features, Floats, extract
from classifier.rows import Seen
from classifier.types import Abilities, Estimate, Forecast, Turn
from classifier.vocabulary import Vocabulary

SURFACE_BOUND = 2.5  # standard deviations; nothing written can push a surface signal further
LOGIT_BOUND = 6.0
_SHORTEST = 1e-6  # of a text's length in n-grams: avoids a division by zero
BEYOND_KNOTS = 2.0  # how far abilities are extrapolated
Between = tuple[int, float, float]  # the knot below an ability, and the weights of that knot and the next


@dataclass(frozen=True, slots=True)
class Parameters:
    """All numbers of an artefact. E experts, K knots, R n-grams, S surface signals, H = E*K + E + 1 columns.

    The columns of `gram_weights` and `surface_weights` are the experts' logits at each knot, then the gate, then the
    log of the output length.
    """

    keys: npt.NDArray[np.uint32]  # R
    idf: Floats  # R
    gram_weights: Floats  # R+1, H; the last row is the unknown's and zero
    seen: Floats  # R+1, E+1: 1 where an expert knows the n-gram, and so counts it in a text's length; last, any
    surface_mean: Floats  # E+1, S: each expert's own scale, then that of the gate and the length
    surface_scale: Floats  # E+1, S
    surface_weights: Floats  # S, H
    bias: Floats  # H
    knots: Floats  # K
    reference: Floats  # 2: abilities of the reference pair
    prior_logits: Floats  # 2: what is said where nothing is known
    final: Floats  # 2, 2: slope and intercept of each tier's logit, moved by adaptation
    familiar_coverage: float  # share of known n-grams from which on nothing is drawn towards the prior
    usual_coverage: Floats  # E: share of an expert's own n-grams in texts of its kind
    spread: Floats  # 2: standard error of the gain on texts of a known kind, and what an unknown kind adds
    length_quantiles: Floats  # 2, 3: factors on the expected length, per tier, for the 10, 50, 90 % points
    thinking: Floats  # 2: log of thinking tokens, at P(fast correct) of one, and what is added at zero
    reference_scores: Floats


class Judgement(NamedTuple):
    """What features tell: P(correct) of both tiers, half the width of the gain's interval, output tokens."""

    p_fast: float
    p_reasoning: float
    uncertainty: float
    output_fast: Forecast
    output_reasoning: Forecast


class DifficultyModel:
    """Estimates how likely each tier is to answer a conversation correctly."""

    def __init__(
        self, parameters: Parameters, *, version: str, abilities: Mapping[str, float], is_adapted: bool = False
    ) -> None:
        """Take fitted parameters; an adapted model's two heads are its tiers and no ability moves them."""
        self.version = version
        self.parameters = parameters
        self.abilities = dict(abilities)
        self.is_adapted = is_adapted
        self.reference_scores: npt.NDArray[np.float64] = np.sort(parameters.reference_scores.astype(np.float64))
        self._vocabulary = Vocabulary(parameters.keys, parameters.idf)
        self._cues = Cues()
        self._experts = (len(parameters.bias) - 1) // (len(parameters.knots) + 1)
        self._heads = self._experts * len(parameters.knots)
        self._surface_scale = 1.0 / parameters.surface_scale
        self._knots = knots = len(parameters.knots)
        # Which scale each column reads, as an index into the flat product of all scales with all columns.
        scale_of = [min(column // knots, self._experts) for column in range(len(parameters.bias))]
        self._scale_of = np.array(scale_of)
        self._own_scale = np.array([at * len(scale_of) + column for column, at in enumerate(scale_of)])
        self._positions: dict[Abilities, tuple[Between, Between]] = {}
        self._final: list[list[float]] = parameters.final.tolist()
        self._usual_coverage: list[float] = parameters.usual_coverage.tolist()
        self._spread: list[float] = parameters.spread.tolist()
        self._thinking: list[float] = parameters.thinking.tolist()
        self._length_quantiles: list[list[float]] = parameters.length_quantiles.tolist()
        self._prior_fast, self._prior_reasoning = (_sigmoid(logit) for logit in parameters.prior_logits.tolist())

    def ability_of(self, model_name: str) -> float | None:
        """The ability of a known model by any usual spelling of its name, or None."""
        return self.abilities.get(canonical(model_name))

    def estimate(self, turns: Sequence[Turn], abilities: Abilities = Abilities()) -> Estimate:  # noqa: B008 - frozen
        """Estimate a conversation for the models behind the tiers."""
        summary = summarise(turns)
        features = extract(summary.text)
        seen = Seen(features, summary.burden)
        judged, cues = self.judge(seen, abilities), self._cues.of(features)
        return Estimate(
            p_fast=judged.p_fast,
            p_reasoning=judged.p_reasoning,
            uncertainty=judged.uncertainty,
            answer_type=answer_type_of(summary.text, cues),
            stakes=stakes_of(summary.text, cues, is_ascii=features.is_ascii),
            output_fast=judged.output_fast,
            output_reasoning=judged.output_reasoning,
            version=self.version,
            seen=seen,
        )

    def judge(self, seen: Seen, abilities: Abilities = Abilities()) -> Judgement:  # noqa: B008 - frozen
        """What can be told from features alone: all of an estimate but the form of the answer and the stakes."""
        features, burden = seen
        columns, coverage, likeness = self._columns(features)
        p_fast, p_reasoning = self._chances(columns, self._position(abilities))
        familiarity = min(1.0, coverage / self.parameters.familiar_coverage)
        if familiarity < 1.0:
            p_fast = self._prior_fast + familiarity * (p_fast - self._prior_fast)
            p_reasoning = self._prior_reasoning + familiarity * (p_reasoning - self._prior_reasoning)
        p_fast, p_reasoning = self._finish(0, p_fast, burden), self._finish(1, p_reasoning, burden)
        uncertainty = self._uncertainty(min(familiarity, likeness))
        return Judgement(p_fast, p_reasoning, uncertainty, *self._forecasts(columns[-1], p_fast))

    def _columns(self, features: Features) -> tuple[list[float], float, float]:
        """All columns, the share of n-grams known, and how like the likeliest expert's own texts this one is, 0..1."""
        parameters = self.parameters
        rows, weights, coverage = self._vocabulary.weigh(features)
        surface = (features.surface - parameters.surface_mean) * self._surface_scale
        np.maximum(surface, -SURFACE_BOUND, out=surface)
        np.minimum(surface, SURFACE_BOUND, out=surface)
        columns = (surface @ parameters.surface_weights).take(self._own_scale)
        columns += parameters.bias
        if not len(rows):
            return columns.tolist(), coverage, 0.0
        seen = parameters.seen[rows]
        lengths = np.sqrt((weights * weights) @ seen)
        np.maximum(lengths, _SHORTEST, out=lengths)
        columns += (weights @ parameters.gram_weights[rows]) / lengths.take(self._scale_of)
        likeliest = int(columns[self._heads : -1].argmax())
        likeness = float(np.add.reduce(seen[:, likeliest])) / (len(features.grams) * self._usual_coverage[likeliest])
        return columns.tolist(), coverage, min(1.0, likeness)

    def _position(self, abilities: Abilities) -> tuple[Between, Between]:
        """Where the two abilities lie among the knots; remembered, because tiers seldom change their models."""
        found = self._positions.get(abilities)
        if found is None:
            fast, reasoning = (
                self._between(float(reference) if ability is None or self.is_adapted else ability)
                for ability, reference in zip(
                    (abilities.fast, abilities.reasoning), self.parameters.reference, strict=True
                )
            )
            found = self._positions[abilities] = fast, reasoning
        return found

    def _between(self, ability: float) -> Between:
        """Linear between knots and beyond the outer ones, within bounds."""
        knots = self.parameters.knots.tolist()
        ability = min(max(ability, knots[0] - BEYOND_KNOTS), knots[-1] + BEYOND_KNOTS)
        upper = min(max(bisect_left(knots, ability), 1), len(knots) - 1)
        share = (ability - knots[upper - 1]) / (knots[upper] - knots[upper - 1])
        return upper - 1, 1.0 - share, share

    def _chances(self, columns: list[float], position: tuple[Between, Between]) -> tuple[float, float]:
        """Mix the experts' chances by the gate; plain floats, because the numbers are few."""
        (fast_at, fast_low, fast_high), (reasoning_at, reasoning_low, reasoning_high) = position
        fast = reasoning = total = 0.0
        gates = columns[self._heads : -1]
        highest = max(gates)
        for gate in gates:
            share = math.exp(gate - highest)
            total += share
            fast += share * _sigmoid(columns[fast_at] * fast_low + columns[fast_at + 1] * fast_high)
            reasoning += share * _sigmoid(
                columns[reasoning_at] * reasoning_low + columns[reasoning_at + 1] * reasoning_high
            )
            fast_at += self._knots
            reasoning_at += self._knots
        return fast / total, reasoning / total

    def _finish(self, tier: int, chance: float, burden: float) -> float:
        slope, intercept = self._final[tier]
        chance = min(max(chance, 1e-4), 1.0 - 1e-4)
        logit = slope * math.log(chance / (1.0 - chance)) + intercept - burden
        return _sigmoid(logit)

    def _uncertainty(self, familiarity: float) -> float:
        known, unknown = self._spread
        return float(min(1.0, 1.96 * math.hypot(known, unknown * (1.0 - familiarity))))

    def _forecasts(self, log_length: float, p_fast: float) -> tuple[Forecast, Forecast]:
        length = math.exp(min(max(log_length, 0.0), 9.0))
        base, slope = self._thinking
        thinking = math.exp(base + slope * (1.0 - p_fast))
        fast, reasoning = self._length_quantiles
        return _forecast(length, fast), _forecast(length + thinking, reasoning)


def _forecast(tokens: float, factors: Sequence[float]) -> Forecast:
    few, median, many = factors
    return Forecast(max(1, round(tokens * few)), max(1, round(tokens * median)), max(1, round(tokens * many)))


def _sigmoid(logit: float) -> float:
    if logit > LOGIT_BOUND:
        logit = LOGIT_BOUND
    elif logit < -LOGIT_BOUND:
        logit = -LOGIT_BOUND
    return 1.0 / (1.0 + math.exp(-logit))
