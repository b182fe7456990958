"""Serves estimates: one pass over the hashed n-grams of a conversation, then a few small products. numpy only.

The model is a mixture of linear experts, one for each kind of traffic seen in training, chosen softly by a gate. An
expert says how the logit of P(correct) grows with a model's ability, at a few knots of the ability scale: this is a
two-parameter item response model whose difficulty and discrimination are read from the text.
"""

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import floor
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from classifier.abilities import canonical
from classifier.consumer import (
    NOTHING,
    ConsumerHead,
    ConsumerParameters,
    ConsumerReading,
    ConsumerWord,
    share_of,
)
from classifier.conversation import ConversationSummary, summarise
from classifier.cues import answer_type_of, read_cues, stakes_of
from classifier.features import LONGEST_SENTENCE, QUESTION, Features, Floats, extract
from classifier.rows import ReadFeatures
from classifier.types import Z95, Abilities, Estimate, Forecast, Turn
from classifier.vocabulary import VocabularyTable

Halves = npt.NDArray[np.float16]
SURFACE_BOUND = 2.5  # standard deviations; nothing written can push a surface signal further
LOGIT_BOUND = 6.0
# Arrays without dimensions: numpy takes them faster than numbers or arrays of one.
_SHORTEST = np.array(1e-6, np.float32)  # of a text's length in n-grams: avoids a division by zero
_NEGLIGIBLE = 9.2  # below the highest gate, an expert's share is one in ten thousand
DOUBTFUL, TRUSTED = 0.0, 0.8  # chance of a known kind up to which experts do not count, and from which they do fully
_CERTAIN = 0.999
_HARDLY = -4.6  # log-odds of one in a hundred
NEAREST = 0.05  # added to the distance of signals before its logarithm is taken
_LEAST_CHANCE = 0.002
BEYOND_KNOTS = 2.0  # how far abilities are extrapolated


class Position(NamedTuple):
    """Where an ability lies: the knot below it, the weights of that knot and the next, and there each expert's line."""

    knot: int
    low: float
    high: float
    lines: list[tuple[float, float, float]]  # fall of the logit by question and by sentence; its level
    consumer: tuple[float, float]  # P(correct) for consumers' texts that need no thinking, and for those that do


@dataclass(frozen=True, slots=True)
class Parameters:
    """All numbers of an artefact. E experts, T of them of templates, K knots, R n-grams, S surface signals, H columns.

    The H = E*K + E + T*K + 1 columns of `gram_weights` and `surface_weights` are the experts' logits at each knot, the
    gate, what experts say of templates that they recall, and the log of the output length.
    """

    keys: npt.NDArray[np.uint32]  # R
    idf: Floats  # R
    gram_weights: Floats | Halves  # R+1, H; the last row is the unknown's and zero; loaded ones are halves
    seen: (
        Floats | Halves
    )  # R+1, E+1: 1 where an expert knows the n-gram, and so counts it in a text's length; last, any
    surface_mean: Floats  # E+1, S: each expert's own scale, then that of the gate and the length
    surface_scale: Floats  # E+1, S
    surface_weights: Floats  # S, H
    bias: Floats  # H
    recalled: Floats  # T, 3: an expert; log-odds that a text's template was taught: by share of known n-grams, constant
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
    consumer: ConsumerParameters | None = None


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
    grams: int
    known_grams: list[float]  # to each expert; last, to any
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
        self._consumer = ConsumerHead(parameters.consumer) if parameters.consumer else None
        knots = len(parameters.knots)
        self._knots, self._columns_count = knots, len(parameters.bias)
        self._experts = len(parameters.usual_coverage)
        self._heads = self._experts * knots
        self._gates = slice(self._heads, self._heads + self._experts)
        self._recalled: list[tuple[int, int, float, float]] = [
            (int(expert), self._gates.stop + place * knots, slope, constant)
            for place, (expert, slope, constant) in enumerate(parameters.recalled.tolist())
        ]
        # For each n-gram: weights times idf, what it adds to the squared length of an expert's text, who knows it.
        idf = parameters.idf[:, None]
        seen = parameters.seen[:-1]
        self._table = VocabularyTable(
            parameters.keys, np.hstack((parameters.gram_weights[:-1] * idf, seen * idf * idf, seen)).astype(np.float32)
        )
        self._squares = slice(self._columns_count, self._columns_count + self._experts + 1)
        self._shares = slice(self._squares.stop, self._squares.stop + self._experts + 1)
        # Which scale each column reads.
        self._scale_of = np.minimum(np.arange(self._columns_count) // knots, self._experts)
        for expert, begin, _, _ in self._recalled:
            self._scale_of[begin : begin + knots] = expert
        # Signals are bounded on every scale; what standardises them is in the weights.
        mean, scale = parameters.surface_mean, parameters.surface_scale
        self._lowest, self._highest = mean - SURFACE_BOUND * scale, mean + SURFACE_BOUND * scale
        self._surface_weights, self._bias = self._standardising()
        self._own_scales = list(zip(mean, 1.0 / (scale * mean.shape[1]), strict=True))
        self._lengths = [(mean.item(-1, at), scale.item(-1, at)) for at in (QUESTION, LONGEST_SENTENCE)]
        self._familiarity: list[float] = parameters.familiarity.tolist()
        self._positions: dict[Abilities, tuple[Position, Position]] = {}
        self._final: list[list[float]] = parameters.final.tolist()
        self._is_moved = self._final != [[1.0, 0.0], [1.0, 0.0]]
        self._familiar_coverage = parameters.familiar_coverage
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
        heard, features = self._hear(summary)
        seen = ReadFeatures(features, summary.burden, heard.word)
        p_fast, p_reasoning, uncertainty, output_fast, output_reasoning = self.judge(seen, abilities)
        return Estimate(
            p_fast,
            p_reasoning,
            uncertainty,
            heard.answer_type,
            heard.stakes,
            output_fast,
            output_reasoning,
            self.version,
            seen,
        )

    def read(self, turns: Sequence[Turn]) -> ReadFeatures:
        """Read a conversation as `estimate` does, to keep or to learn from; the burden in whole hundredths."""
        summary = summarise(turns)
        heard, features = self._hear(summary)
        return ReadFeatures(features, round(summary.burden, 2), heard.word)

    def _hear(self, summary: ConversationSummary) -> tuple[ConsumerReading, Features]:
        """What the head says of an instruction, and the features that the experts judge by.

        Where an artefact has no head, the rules tell form and stakes. The experts know questions with all that belongs
        to them; where a material stands aside, they judge the instruction.
        """
        cues = read_cues(summary.instruction, has_material=summary.has_material, earlier=summary.earlier)
        whole = extract(summary.text)
        instruction = whole if summary.instruction == summary.text else None
        if self._consumer is None:
            heard = ConsumerReading(NOTHING, answer_type_of(cues), stakes_of(cues))
        else:
            instruction = instruction or extract(summary.instruction)
            earlier = extract(summary.earlier) if summary.earlier else None
            beside = whole if summary.has_material else None
            heard = self._consumer.read(summary.instruction, instruction, cues, beside, summary.earlier, earlier)
        if summary.aside:
            return heard, instruction or extract(summary.instruction)
        return heard, whole

    def judge(self, seen: ReadFeatures, abilities: Abilities = Abilities()) -> Judgement:  # noqa: B008 - frozen
        """What can be told from features alone: all of an estimate but the form of the answer and the stakes."""
        features, burden, word = seen
        fast, reasoning = self._position(abilities)
        share = share_of(word.odds) if self._consumer is not None else 0.0
        if share >= 1.0:
            p_fast, p_reasoning, spread, log_length = self._judge_consumer(word, fast, reasoning)
        else:
            p_fast, p_reasoning, spread, log_length = self._judge_by_experts(features, fast, reasoning)
            if share:
                of_consumer = self._judge_consumer(word, fast, reasoning)
                p_fast += share * (of_consumer[0] - p_fast)
                p_reasoning += share * (of_consumer[1] - p_reasoning)
                spread += share * (of_consumer[2] - spread)
                log_length += share * (of_consumer[3] - log_length)
        burden *= 1.0 - share  # the head has read conversations, experts have not
        if burden or self._is_moved:
            p_fast, p_reasoning = self._finish(0, p_fast, burden), self._finish(1, p_reasoning, burden)
        return Judgement(p_fast, p_reasoning, min(1.0, Z95 * spread), *self._forecasts(log_length, p_fast))

    def _judge_consumer(
        self, word: ConsumerWord, fast: Position, reasoning: Position
    ) -> tuple[float, float, float, float]:
        """P(correct) of both tiers, standard error of the gain and log of the length, of a consumer's text."""
        assert self._consumer is not None
        need = self._consumer.need(word)
        p_fast, p_reasoning = (easy + need * (hard - easy) for easy, hard in (fast.consumer, reasoning.consumer))
        return p_fast, p_reasoning, self._consumer.parameters.spread, word.length

    def _judge_by_experts(
        self, features: Features, fast: Position, reasoning: Position
    ) -> tuple[float, float, float, float]:
        """The same of any other text, drawn to what is said where nothing is known."""
        reading = self._read(features)
        p_fast, p_reasoning = self._chances(reading, fast, reasoning)
        familiarity = min(1.0, reading.known_grams[-1] / (reading.grams * self._familiar_coverage))
        if familiarity < 1.0:
            p_fast = self._prior_fast + familiarity * (p_fast - self._prior_fast)
            p_reasoning = self._prior_reasoning + familiarity * (p_reasoning - self._prior_reasoning)
        known, unknown = self._spread
        spread = math.hypot(known, unknown * (1.0 - min(familiarity, reading.likeness)))
        return p_fast, p_reasoning, spread, reading.columns[-1]

    def _standardising(self) -> tuple[Floats, Floats]:
        """Weights of one vector that holds the signals on every scale, of which each column reads its own; the bias."""
        parameters = self.parameters
        signals, columns = parameters.surface_weights.shape
        weights = np.zeros((self._experts + 1, signals, columns))
        bias = parameters.bias.astype(np.float64)
        for column, scale in enumerate(self._scale_of):
            steep = parameters.surface_weights[:, column] / parameters.surface_scale[scale].astype(np.float64)
            weights[scale, :, column] = steep
            bias[column] -= steep @ parameters.surface_mean[scale]
        return weights.reshape(-1, columns).astype(np.float32), bias.astype(np.float32)

    def _read(self, features: Features) -> "_Reading":
        """All columns, and how like texts of a known kind this one is."""
        count, experts, grams = self._columns_count, self._experts, len(features.grams)
        surface = np.minimum(np.maximum(features.surface, self._lowest), self._highest)
        columns = surface.reshape(-1).dot(self._surface_weights)
        columns += self._bias
        if grams:
            rows, known = self._table.find(features.grams)
            powers = np.empty((3, grams), np.float32)
            powers[2] = known
            np.multiply(features.frequencies, powers[2], out=powers[0])
            np.multiply(features.frequencies, powers[0], out=powers[1])
            sums = powers.dot(rows)
            lengths = np.maximum(np.sqrt(sums[1, self._squares]), _SHORTEST)
            columns += sums[0, :count] / lengths.take(self._scale_of)
            known_grams = sums[2, self._shares].tolist()
        else:
            grams, known_grams = 1, [0.0] * (experts + 1)
        listed: list[float] = columns.tolist()
        gates = listed[self._gates]
        highest = max(gates)
        likeliest = gates.index(highest)
        likeness = min(1.0, known_grams[likeliest] / (grams * self._usual_coverage[likeliest]))
        by_distance, by_margin, by_likeness, known_at_all = self._familiarity
        if experts > 1:
            mean, steepness = self._own_scales[likeliest]
            distance = float(abs(surface[likeliest] - mean).dot(steepness))
            margin = highest - sorted(gates)[-2]
            known_at_all += by_distance * math.log(distance + NEAREST) + by_margin * math.log1p(margin)
            known_at_all += by_likeness * likeness
        (question, question_scale), (sentence, sentence_scale) = self._lengths
        return _Reading(
            listed,
            grams,
            known_grams,
            likeness,
            min(1.0, max(0.0, (_sigmoid(known_at_all) - DOUBTFUL) / (TRUSTED - DOUBTFUL))),
            (surface.item(experts, QUESTION) - question) / question_scale,
            (surface.item(experts, LONGEST_SENTENCE) - sentence) / sentence_scale,
        )

    def _position(self, abilities: Abilities) -> tuple[Position, Position]:
        """Where the two abilities lie among the knots; remembered, because tiers seldom change their models."""
        positions = self._positions.get(abilities)
        if positions is None:
            fast, reasoning = (
                self._position_at(float(reference) if ability is None or self.is_adapted else ability)
                for ability, reference in zip(
                    (abilities.fast, abilities.reasoning), self.parameters.reference, strict=True
                )
            )
            positions = self._positions[abilities] = fast, reasoning
        return positions

    def _position_at(self, ability: float) -> Position:
        """Linear between knots and beyond the outer ones, within bounds."""
        knots = self.parameters.knots.tolist()
        ability = min(max(ability, knots[0] - BEYOND_KNOTS), knots[-1] + BEYOND_KNOTS)
        upper = min(max(bisect_left(knots, ability), 1), len(knots) - 1)
        share = (ability - knots[upper - 1]) / (knots[upper] - knots[upper - 1])
        general = self.parameters.general.astype(np.float64)
        lines = (1.0 - share) * general[:, upper - 1] + share * general[:, upper]
        consumer = (0.0, 0.0)
        if self.parameters.consumer is not None:
            low, high = self.parameters.consumer.chances[upper - 1 : upper + 1].astype(np.float64)
            easy, hard = np.clip((1.0 - share) * low + share * high, _LEAST_CHANCE, 1.0 - _LEAST_CHANCE).tolist()
            consumer = easy, hard
        experts = [(each[0], each[1], each[2]) for each in lines.tolist()]
        return Position(upper - 1, 1.0 - share, share, experts, consumer)

    def _chances(self, reading: "_Reading", *tiers: Position) -> tuple[float, ...]:
        """Mix the experts' chances by the gate; plain floats, the numbers are few."""
        columns, gates = reading.columns, reading.columns[self._gates]
        highest = max(gates)
        shares = [(at, math.exp(gate - highest)) for at, gate in enumerate(gates) if gate > highest - _NEGLIGIBLE]
        total = sum([share for _, share in shares])
        known, unknown = reading.known, 1.0 - reading.known
        question, sentence, knots = reading.question, reading.sentence, self._knots
        recalled = self._recall(reading)
        chances = []
        for knot, low, high, lines, _ in tiers:
            chance = 0.0
            for expert, share in shares:
                at = expert * knots + knot
                logit = columns[at] * low + columns[at + 1] * high
                if known < _CERTAIN:
                    # An expert's word counts as far as the text is of a known kind; else longer questions are harder.
                    by_question, by_sentence, level = lines[expert]
                    length = by_question * question + by_sentence * sentence
                    logit = known * logit + unknown * (level - length)
                if expert in recalled:
                    begin, surely = recalled[expert]
                    logit += surely * (columns[begin + knot] * low + columns[begin + knot + 1] * high - logit)
                chance += share * _sigmoid(logit)
            chances.append(chance / total)
        return tuple(chances)

    def _recall(self, reading: "_Reading") -> dict[int, tuple[int, float]]:
        """Which experts recall the text's template: where they speak of it, and how surely it is one of theirs."""
        recalled: dict[int, tuple[int, float]] = {}
        for expert, begin, slope, constant in self._recalled:
            odds = slope * reading.known_grams[expert] / reading.grams + constant
            if odds > _HARDLY:
                recalled[expert] = begin, _sigmoid(odds)
        return recalled

    def _finish(self, tier: int, chance: float, burden: float) -> float:
        slope, intercept = self._final[tier]
        chance = min(max(chance, 1e-4), 1.0 - 1e-4)
        logit = slope * math.log(chance / (1.0 - chance)) + intercept - burden
        return _sigmoid(logit)

    def _forecasts(self, log_length: float, p_fast: float) -> tuple[Forecast, Forecast]:
        length = math.exp(min(max(log_length, 0.0), 9.0))
        base, slope = self._thinking
        thinking = math.exp(base + slope * (1.0 - p_fast))
        fast, reasoning = self._length_quantiles
        return _forecast(length, fast), _forecast(length + thinking, reasoning)


def _forecast(tokens: float, factors: Sequence[float]) -> Forecast:
    few, median, many = factors
    return Forecast(floor(tokens * few + 0.5) or 1, floor(tokens * median + 0.5) or 1, floor(tokens * many + 0.5) or 1)


def _sigmoid(logit: float) -> float:
    if logit > LOGIT_BOUND:
        logit = LOGIT_BOUND
    elif logit < -LOGIT_BOUND:
        logit = -LOGIT_BOUND
    return 1.0 / (1.0 + math.exp(-logit))
