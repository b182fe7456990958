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
from classifier.features import LONGEST_SENTENCE, QUESTION, Features, Floats, extract
from classifier.rows import Seen
from classifier.types import Abilities, Estimate, Forecast, Turn
from classifier.vocabulary import Table

SURFACE_BOUND = 2.5  # standard deviations; nothing written can push a surface signal further
LOGIT_BOUND = 6.0
# Arrays without dimensions: numpy takes them faster than numbers or arrays of one.
_LOWEST, _HIGHEST = np.array(-SURFACE_BOUND, np.float32), np.array(SURFACE_BOUND, np.float32)
_SHORTEST = np.array(1e-6, np.float32)  # of a text's length in n-grams: avoids a division by zero
_NEGLIGIBLE = 14.0  # below the highest gate, an expert's share is one in a million
DOUBTFUL, TRUSTED = 0.0, 0.8  # chance of a known kind up to which experts do not count, and from which they do fully
_CERTAIN = 0.999
NEAREST = 0.05  # added to the distance of signals before its logarithm is taken
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
    general: (
        Floats  # E, K, 3: what length tells of unknown traffic: fall of a logit by question and sentence; its level
    )
    familiarity: (
        Floats  # 4: log-odds of a known kind: by distance of the signals, margin of the gate, likeness; constant
    )
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


class _Reading(NamedTuple):
    """The columns of one text, and how far they are to be trusted."""

    columns: list[float]
    coverage: float  # share of n-grams known
    likeness: float  # to the likeliest expert's own texts, 0..1
    known: float  # weight of the experts' word, 0..1
    question: float  # its length, in standard deviations
    sentence: float  # the longest one's


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
        self._cues = Cues()
        knots = len(parameters.knots)
        self._knots, self._columns_count = knots, len(parameters.bias)
        self._experts = (self._columns_count - 1) // (knots + 1)
        self._heads = self._experts * knots
        self._table = Table(parameters.keys, parameters.idf, np.hstack((parameters.gram_weights, parameters.seen))[:-1])
        # Which scale each column reads.
        self._scale_of = np.minimum(np.arange(self._columns_count) // knots, self._experts)
        # Every signal on every scale, scale by scale.
        self._signals = parameters.surface_mean.shape[1]
        self._on_each_scale = np.tile(np.arange(self._signals), self._experts + 1)
        self._surface_mean = parameters.surface_mean.reshape(-1)
        self._surface_scale = (1.0 / parameters.surface_scale).reshape(-1)
        self._surface_weights = self._spread_out(parameters.surface_weights)
        self._general: list[list[list[float]]] = parameters.general.tolist()
        self._familiarity: list[float] = parameters.familiarity.tolist()
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
        reading = self._read(features)
        fast_at, reasoning_at = self._position(abilities)
        p_fast, p_reasoning = self._chances(reading, fast_at, reasoning_at)
        familiarity = min(1.0, reading.coverage / self.parameters.familiar_coverage)
        if familiarity < 1.0:
            p_fast = self._prior_fast + familiarity * (p_fast - self._prior_fast)
            p_reasoning = self._prior_reasoning + familiarity * (p_reasoning - self._prior_reasoning)
        p_fast, p_reasoning = self._finish(0, p_fast, burden), self._finish(1, p_reasoning, burden)
        uncertainty = self._uncertainty(min(familiarity, reading.likeness))
        return Judgement(p_fast, p_reasoning, uncertainty, *self._forecasts(reading.columns[-1], p_fast))

    def _spread_out(self, weights: Floats) -> Floats:
        """Weights of one vector that holds the signals on every scale: each column reads its own part of it."""
        signals, columns = weights.shape
        spread = np.zeros((self._experts + 1, signals, columns), np.float32)
        for column, scale in enumerate(self._scale_of):
            spread[scale, :, column] = weights[:, column]
        return spread.reshape(-1, columns)

    def _read(self, features: Features) -> "_Reading":
        """All columns, and how like texts of a known kind this one is."""
        parameters, count, experts = self.parameters, self._columns_count, self._experts
        surface = features.surface.take(self._on_each_scale)
        surface -= self._surface_mean
        surface *= self._surface_scale
        surface = np.minimum(np.maximum(surface, _LOWEST), _HIGHEST)
        columns = surface.dot(self._surface_weights)
        columns += parameters.bias
        grams = len(features.grams)
        coverage, shares = 0.0, [0.0] * (experts + 1)
        if grams:
            rows, weights, known = self._table.weigh(features)
            both = np.empty((2, grams), np.float32)
            np.multiply(weights, weights, out=both[0])
            both[1] = known
            squares, seen = both.dot(rows[:, count : count + experts + 1])
            shares = seen.tolist()
            lengths = np.maximum(np.sqrt(squares), _SHORTEST)
            columns += weights.dot(rows[:, :count]) / lengths.take(self._scale_of)
            coverage = shares[experts] / grams
        listed: list[float] = columns.tolist()
        gates = listed[self._heads : -1]
        highest = max(gates)
        likeliest = gates.index(highest)
        likeness = min(1.0, shares[likeliest] / (max(1, grams) * self._usual_coverage[likeliest]))
        by_distance, by_margin, by_likeness, known_at_all = self._familiarity
        if experts > 1:
            own = surface[likeliest * self._signals : (likeliest + 1) * self._signals]
            distance = float(np.add.reduce(abs(own))) / len(own)
            margin = highest - sorted(gates)[-2]
            known_at_all += by_distance * math.log(distance + NEAREST) + by_margin * math.log1p(margin)
            known_at_all += by_likeness * likeness
        common = experts * self._signals
        return _Reading(
            listed,
            coverage,
            likeness,
            min(1.0, max(0.0, (_sigmoid(known_at_all) - DOUBTFUL) / (TRUSTED - DOUBTFUL))),
            surface.item(common + QUESTION),
            surface.item(common + LONGEST_SENTENCE),
        )

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

    def _chances(self, reading: "_Reading", fast_at: Between, reasoning_at: Between) -> tuple[float, float]:
        """Mix the experts' chances by the gate; plain floats, the numbers are few."""
        columns, gates = reading.columns, reading.columns[self._heads : -1]
        (fast_knot, fast_low, fast_high), (reasoning_knot, reasoning_low, reasoning_high) = fast_at, reasoning_at
        fast = reasoning = total = 0.0
        highest = max(gates)
        is_known = reading.known > _CERTAIN
        for expert, gate in enumerate(gates):
            if gate < highest - _NEGLIGIBLE:
                continue
            share = math.exp(gate - highest)
            total += share
            at = expert * self._knots + fast_knot
            logit = columns[at] * fast_low + columns[at + 1] * fast_high
            fast += share * _sigmoid(logit if is_known else self._tempered(logit, reading, expert, fast_at))
            at = expert * self._knots + reasoning_knot
            logit = columns[at] * reasoning_low + columns[at + 1] * reasoning_high
            reasoning += share * _sigmoid(logit if is_known else self._tempered(logit, reading, expert, reasoning_at))
        return fast / total, reasoning / total

    def _tempered(self, logit: float, reading: "_Reading", expert: int, between: Between) -> float:
        """An expert's word counts as far as the text is of a known kind; else longer questions are harder."""
        knot, low, high = between
        (question, sentence, level), above = self._general[expert][knot], self._general[expert][knot + 1]
        general = low * level + high * above[2]
        general -= (low * question + high * above[0]) * reading.question
        general -= (low * sentence + high * above[1]) * reading.sentence
        return reading.known * logit + (1.0 - reading.known) * general

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
    return Forecast(round(tokens * few) or 1, round(tokens * median) or 1, round(tokens * many) or 1)


def _sigmoid(logit: float) -> float:
    if logit > LOGIT_BOUND:
        logit = LOGIT_BOUND
    elif logit < -LOGIT_BOUND:
        logit = -LOGIT_BOUND
    return 1.0 / (1.0 + math.exp(-logit))
