"""How often an agreement is right, and a strong answer after it: a prior curve, moved by what labels say.

Eight of eight agreeing is right .92 of the time on one task and .50 on another, so no global number is used alone.
Each (models, answer type) has a logistic curve of its own, which starts from that over all and from there follows its
own labels. The same evidence tells when a weak model is not worth sampling. Pure; evidence comes from the books.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import exp, log, sqrt
from typing import Self

import numpy as np

from classifier.types import Interval
from router.ledger.agreements import GradedVote, VoteEvidence
from router.ledger.entries import VoteEnding, join_key, split_key
from router.ledger.feedback import RIGHT_FROM
from router.tiers.vote.rates import VerifierRates, wilson

# P(the leader is right) by its smoothed share of all that came, unreadable ones too, as recorded votes have it.
CURVE_SHARES = (0.0, 0.25, 0.5, 0.73, 0.92, 1.0)
CURVE_RIGHT = (0.08, 0.25, 0.47, 0.77, 0.92, 0.95)
VERIFIED, VERIFIED_RIGHT = "verified", 0.99  # by an exact check, whatever the others say
USUAL_SHARE = 0.6  # of one imagined sample
OF_THE_MODEL = 0.25  # how far the estimate of the sampled model moves the curve, on the scale of log-odds
NO_AGREEMENT = -0.3  # the questions that a strong model is asked are the harder ones
AGREES, DIFFERS = 0.8, -0.9
SPREAD_ALL = np.array([1.2, 0.6])  # standard deviations of a curve's offset and slope, over all rows
SPREAD_ROW = np.array([0.9, 0.6])  # and of one row's around them
OUTVOTED = 0.3  # P(the leader was right) where a strong answer that was wrong said otherwise
MOST_GRADED = 500  # labels of a row that count: questions and models change

SHARES = (0.4, 0.6, 0.8, 0.999)  # upper edges of all share bins but the last, which is full agreement
LEAST_GRADED = 10
ENOUGH_EVIDENCE = 20  # labels of a row, from which on they decide
PRIOR_WEIGHT = 10.0
DOUBT = 0.84  # standard errors by which sampling, and keeping what was not accepted, has to prove itself, or not
BENEFIT = 0.25  # standard errors by which an accepted answer gets the benefit of the doubt
SAVING_PER_POINT = 0.05  # accuracy that may be lost for one strong call saved, of the price of 30 samples
USUAL_RATIO = 30.0


def agreement_key(models: Sequence[str], answer_type: str) -> str:
    """Return the row that votes of these models on this answer type belong to."""
    return join_key(join_names(models), answer_type)


def join_names(models: Iterable[str]) -> str:
    """Return the models as one text, whatever their order."""
    return "+".join(sorted(set(models)))


@dataclass(frozen=True, slots=True)
class Belief:
    """A probability, and its standard error on the scale of log-odds."""

    logit: float
    error: float

    @property
    def p(self) -> float:
        """The probability."""
        return _chance(self.logit)

    def p_at(self, errors: float) -> float:
        """The probability so many standard errors away."""
        return _chance(self.logit + errors * self.error)


@dataclass(frozen=True, slots=True)
class Curve:
    """Offset and slope of log-odds, and the covariance that what they were fitted on leaves."""

    mean: np.ndarray
    covariance: np.ndarray

    def at(self, base: float, slope_of: float) -> Belief:
        """Return what it makes of a prior's log-odds."""
        x = np.array([1.0, slope_of])
        return Belief(base + float(self.mean @ x), sqrt(max(0.0, float(x @ self.covariance @ x))))


@dataclass(frozen=True, slots=True)
class AgreementShare:
    """Leaders with a share of the votes above `low`, up to `high`: how many were right, and how many are said to be."""

    models: str
    answer_type: str
    low: float
    high: float
    labels: int
    right: Interval
    said: float


@dataclass(frozen=True, slots=True)
class AgreementSummary:
    """The votes of one (models, answer type): what they took, how many escalated, how right both kinds of answer were.

    `error` is the expected calibration error of the confidence that clients were told. None where nothing is known.
    """

    models: str
    answer_type: str
    votes: int
    samples: float | None
    escalated: float | None
    kept_labels: int
    kept_right: Interval | None
    strong_labels: int
    strong_right: Interval | None
    error: float | None

    @property
    def labels(self) -> int:
        """All answers that were graded."""
        return self.kept_labels + self.strong_labels


@dataclass(slots=True)
class _Row:
    queries: int = 0
    samples: int = 0
    kept: int = 0
    graded: list[GradedVote] = field(default_factory=list)


class CalibrationTable:
    """What votes are worth: P(right) of leaders and of strong answers, and whether sampling pays."""

    def __init__(self, evidence: VoteEvidence | None = None) -> None:
        self._rows: dict[str, _Row] = {}
        for counts in evidence.counts if evidence else ():
            row = self._rows.setdefault(join_key(counts.models, counts.answer_type), _Row())
            row.queries, row.samples, row.kept = counts.queries, counts.samples, counts.kept
        for vote in evidence.graded if evidence else ():
            self._rows.setdefault(vote.ending.key, _Row()).graded.append(vote)
        for row in self._rows.values():
            del row.graded[:-MOST_GRADED]
        self._leaders: dict[str, Curve] | None = None
        self._strong: dict[str, Curve] = {}

    @classmethod
    def from_evidence(cls, evidence: VoteEvidence) -> Self:
        """Return a table that has its curves ready, so that no request waits for them."""
        table = cls(evidence)
        table._fit()
        return table

    def saw(self, ended: VoteEnding) -> None:
        """Count a vote, graded or not: how many samples it took and whether its answer was kept."""
        row = self._rows.setdefault(ended.key, _Row())
        row.queries += 1
        row.samples += ended.samples
        row.kept += not ended.is_escalated

    def learn(self, ended: VoteEnding, correct: float) -> None:
        """Add a label (0 to 1) of the answer that the client got."""
        row = self._rows.setdefault(ended.key, _Row())
        row.graded.append(GradedVote(ended, correct))
        del row.graded[:-MOST_GRADED]
        self._leaders = None

    def leader(self, ended: VoteEnding) -> Belief:
        """Return P(the leader of a vote is right)."""
        curves = self._fit()
        return curves.get(ended.key, curves[""]).at(_leader_base(ended), _leader_slope(ended))

    def strong(self, ended: VoteEnding) -> Belief:
        """Return P(the strong tier's answer is right), given whether it agrees with the leader."""
        self._fit()
        return self._strong.get(ended.key, self._strong[""]).at(_strong_base(ended), _strong_slope(ended))

    def labels(self, key: str) -> int:
        """Return how many graded answers of this row there are."""
        row = self._rows.get(key)
        return len(row.graded) if row else 0

    def is_worth_keeping(self, ended: VoteEnding, price_ratio: float) -> bool | None:
        """Tell whether labels say that the leader is worth as much as a strong answer; None where they do not tell.

        An accepted leader is given the benefit of the doubt, one that was not accepted is not.
        """
        if self.labels(ended.key) < ENOUGH_EVIDENCE:
            return None
        leader, strong = self.leader(ended), self.strong(ended)
        allowed = SAVING_PER_POINT * min(1.0, price_ratio / USUAL_RATIO)
        if strong.p - leader.p_at(BENEFIT) > allowed:
            return False
        return True if leader.p_at(-DOUBT) >= strong.p - allowed else None

    def is_worth_sampling(self, key: str, p_strong: float, price_ratio: float) -> bool:
        """Tell whether sampling first, a strong call costing `price_ratio` samples, beats asking the strong tier.

        It does not where too few answers are kept to pay for the samples, nor where those kept are so much worse than
        the strong tier's that the saved calls do not make up for it.
        """
        row = self._rows.get(key)
        if row is None or row.queries < LEAST_GRADED:
            return True
        share = _shrunk(row.kept, row.queries, 0.5)
        saved = share - row.samples / row.queries / price_ratio
        if saved + DOUBT * _error(share, row.queries) <= 0:
            return False
        kept = [vote.correct for vote in row.graded if not vote.ending.is_escalated]
        if len(kept) < LEAST_GRADED:
            return True
        asked = [vote.correct for vote in row.graded if vote.ending.is_escalated]
        strong = _shrunk(sum(asked), len(asked), p_strong)
        right = _shrunk(sum(kept), len(kept), strong)
        lost = share * (strong - right - DOUBT * _error(right, len(kept)))
        return lost <= max(0.0, saved) * SAVING_PER_POINT

    def judge_rates(self, judge: str) -> VerifierRates:
        """Return how often a judge on trial chose what the client got, where that was right and where it was wrong."""
        asked = [
            (vote.correct >= RIGHT_FROM, vote.ending.judge_accepts)
            for row in self._rows.values()
            for vote in row.graded
            if vote.ending.judge == judge and vote.ending.judge_accepts is not None
        ]
        right = [accepts for is_right, accepts in asked if is_right]
        wrong = [accepts for is_right, accepts in asked if not is_right]
        return VerifierRates(sum(right), len(right), sum(wrong), len(wrong))

    def may_judge(self, judge: str) -> bool:
        """Tell whether labels have shown that a judge tells right answers from wrong ones."""
        rates = self.judge_rates(judge)
        is_enough = rates.right + rates.wrong >= ENOUGH_EVIDENCE
        return is_enough and rates.true_positive.low > rates.false_positive.high

    def shares(self) -> list[AgreementShare]:
        """Return how right leaders were: for each (models, answer type) a line for each share of theirs with labels."""
        lines = []
        for key, row in sorted(self._rows.items()):
            models, answer_type = split_key(key)
            for at, (low, high) in enumerate(zip((0.0, *SHARES), (*SHARES, 1.0), strict=True)):
                found = [(vote, right) for vote, right in _leaders_graded(row.graded) if share_bin(vote.share) == at]
                if found:
                    right = wilson(sum(right for _, right in found), len(found))
                    said = sum(self.leader(vote).p for vote, _ in found) / len(found)
                    lines.append(AgreementShare(models, answer_type, low, high, len(found), right, said))
        return lines

    def summaries(self) -> list[AgreementSummary]:
        """Return what became of the votes of each (models, answer type), those with the most labels first."""
        found = []
        for key, row in self._rows.items():
            models, answer_type = split_key(key)
            told = [(vote.ending.confidence, vote.correct) for vote in row.graded]
            strong = [vote.correct for vote in row.graded if vote.ending.is_escalated]
            kept = [vote.correct for vote in row.graded if not vote.ending.is_escalated]
            found.append(
                AgreementSummary(
                    models,
                    answer_type,
                    row.queries,
                    row.samples / row.queries if row.queries else None,
                    1 - row.kept / row.queries if row.queries else None,
                    len(kept),
                    wilson(sum(kept), len(kept)) if kept else None,
                    len(strong),
                    wilson(sum(strong), len(strong)) if strong else None,
                    calibration_error(told),
                )
            )
        return sorted(found, key=lambda each: (-each.labels, each.models, each.answer_type))

    def judges(self) -> list[str]:
        """Return the judges that labels tell of."""
        return sorted({v.ending.judge for row in self._rows.values() for v in row.graded if v.ending.judge})

    def _fit(self) -> Mapping[str, Curve]:
        """Fit the curves where labels came; the one over all has the key "" and is what a new row starts from."""
        if self._leaders is None:
            leaders = {
                key: [(_leader_base(vote), _leader_slope(vote), right) for vote, right in _leaders_graded(row.graded)]
                for key, row in self._rows.items()
            }
            strong = {
                key: [
                    (_strong_base(vote.ending), _strong_slope(vote.ending), vote.correct)
                    for vote in row.graded
                    if vote.ending.is_escalated
                ]
                for key, row in self._rows.items()
            }
            self._strong = _curves(strong)
            self._leaders = _curves(leaders)
        return self._leaders


def calibration_error(told: Sequence[tuple[float, float]], bins: int = 10) -> float | None:
    """Return the expected calibration error of (what was said, how right it was), by bins of equal width."""
    if not told:
        return None
    said, right = np.array(told).T
    at = np.minimum((said * bins).astype(int), bins - 1)
    gaps = [abs(float((said[at == b] - right[at == b]).sum())) for b in range(bins)]
    return sum(gaps) / len(told)


def share_bin(share: float) -> int:
    """Return the bin of an agreement share; the last is full agreement."""
    return sum(share > edge for edge in SHARES)


def _leaders_graded(graded: Iterable[GradedVote]) -> list[tuple[VoteEnding, float]]:
    """Return the votes of which a label tells how right the leader was, with that.

    A right strong answer that says what the leader says makes it right, one that says otherwise wrong. Where the strong
    answer was wrong and differs, the leader is given what such leaders usually are.
    """
    found = []
    for vote in graded:
        ended = vote.ending
        if not ended.leader:
            continue
        if not ended.is_escalated or ended.agrees:
            found.append((ended, vote.correct))
        elif ended.agrees is False:
            found.append((ended, OUTVOTED * (1 - vote.correct)))
    return found


def _leader_base(ended: VoteEnding) -> float:
    if ended.stop_reason == VERIFIED:
        return log(VERIFIED_RIGHT / (1 - VERIFIED_RIGHT))
    right = float(np.interp(_smooth_share(ended), CURVE_SHARES, CURVE_RIGHT))
    return _logit(right) + OF_THE_MODEL * _logit(ended.p_sampled)


def _leader_slope(ended: VoteEnding) -> float:
    return 0.0 if ended.stop_reason == VERIFIED else 4.0 * (_smooth_share(ended) - 0.75)


def _smooth_share(ended: VoteEnding) -> float:
    return (ended.leader + USUAL_SHARE) / (ended.voters + ended.unreadable + 1)


def _strong_base(ended: VoteEnding) -> float:
    base = _logit(ended.p_strong)
    return base + (NO_AGREEMENT if ended.agrees is None else AGREES if ended.agrees else DIFFERS)


def _strong_slope(ended: VoteEnding) -> float:
    return 0.0 if ended.agrees is None else 1.0 if ended.agrees else -1.0


Graded = tuple[float, float, float]  # log-odds of the prior, what the slope applies to, how right


def _curves(graded: Mapping[str, Sequence[Graded]]) -> dict[str, Curve]:
    everything = [each for of_row in graded.values() for each in of_row]
    overall = _curve(everything, np.zeros(2), np.diag(SPREAD_ALL**2))
    prior = overall.covariance + np.diag(SPREAD_ROW**2)
    curves = {key: _curve(of_row, overall.mean, prior) for key, of_row in graded.items() if of_row}
    return {"": Curve(overall.mean, prior), **curves}


def _curve(graded: Sequence[Graded], mean: np.ndarray, covariance: np.ndarray) -> Curve:
    """Find the posterior mode of a logistic curve by Newton's steps, and the covariance around it."""
    if not graded:
        return Curve(mean, covariance)
    table = np.array(graded)
    base, right = table[:, 0], table[:, 2]
    features = np.column_stack([np.ones(len(table)), table[:, 1]])
    precision = np.linalg.inv(covariance)
    weights, hessian = mean.copy(), precision
    for _ in range(8):
        p = 1 / (1 + np.exp(-np.clip(base + features @ weights, -30, 30)))
        hessian = precision + (features * (p * (1 - p))[:, None]).T @ features
        step = np.linalg.solve(hessian, features.T @ (right - p) - precision @ (weights - mean))
        weights = weights + np.clip(step, -1.0, 1.0)
        if float(np.abs(step).max()) < 1e-4:
            break
    return Curve(weights, np.linalg.inv(hessian))


def _logit(p: float) -> float:
    p = min(max(p, 0.02), 0.98)
    return log(p / (1 - p))


def _chance(logit: float) -> float:
    return 1 / (1 + exp(-min(max(logit, -30.0), 30.0)))


def _shrunk(right: float, graded: float, towards: float) -> float:
    return (right + PRIOR_WEIGHT * towards) / (graded + PRIOR_WEIGHT)


def _error(share: float, n: float) -> float:
    """Return the standard error of a share, as if a few more had been seen."""
    return sqrt(share * (1 - share) / (n + PRIOR_WEIGHT))
