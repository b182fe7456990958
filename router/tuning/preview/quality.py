"""The off-policy estimates of a preview: sums over cells of what `router.tuning.off_policy` sums over rows.

Pure. A request of a cell goes to its logged tier with one of two chances: as the greedy choice, or by exploration. So
the sums of weights and of their squares are those of the cell's 1/propensity, times these chances.
"""

from dataclasses import dataclass

import numpy as np

from classifier.types import UNKNOWN_INTERVAL, Interval
from router.tuning import off_policy
from router.tuning.off_policy import Quality
from router.tuning.traffic import TIERS, Floats, Ints, Traffic

# By segment, tier that was taken and cell: counts, and sums of p = 1/propensity, r = reward, s = surprise.
RATED = ("count", "p", "pr", "pp", "ppr", "pprr", "ps", "ppss", "never")


@dataclass(frozen=True, slots=True)
class Sent:
    """Where requests go, by segment, tier and cell: the chance of a tier, the part of it that is greedy, by whom.

    `greedy` is which part of a cell has the tier as its greedy choice; `explored` the chance without it.
    """

    greedy: Floats
    explored: Floats
    explore: float

    @property
    def chance(self) -> Floats:
        """The mean chance."""
        return self.greedy * (1.0 - self.explore) + self.explored

    def mean_square(self) -> Floats:
        """Return the mean of the chance's square."""
        mean: Floats = self.greedy * (1.0 - self.explore + self.explored) ** 2 + (1.0 - self.greedy) * self.explored**2
        return mean

    def largest(self) -> Floats:
        """Return the largest chance that a request of the cell may have."""
        chance: Floats = self.explored + np.where(self.greedy > 1e-9, 1.0 - self.explore, 0.0)
        return chance


@dataclass(frozen=True, slots=True)
class Ratings:
    """What a preview keeps of feedback and of the classifier's promises."""

    rated: dict[str, Floats]
    steepest: Floats  # the largest 1/propensity
    rewards: Floats  # by segment: count, sum, sum of squares
    surprises: Floats
    requests: Floats  # by segment and cell
    promised: Floats  # sums by segment, tier and cell
    products: Floats  # sums of products of two tiers' promises

    @classmethod
    def of(cls, traffic: Traffic, cell: Ints, width: int) -> "Ratings":
        """Sum up; `cell` counts cells through all segments."""
        segments, tiers = len(traffic.segment_names), len(TIERS)
        labelled = np.flatnonzero(~np.isnan(traffic.rewards))
        promised = off_policy.promises_of(traffic, labelled)
        taken, rewards = traffic.tiers[labelled], traffic.rewards[labelled]
        inverse = 1.0 / traffic.propensities[labelled]
        surprise = rewards - promised[labelled, taken]
        place = cell[labelled] * tiers + taken
        size = segments * width * tiers

        def by_cell(values: Floats) -> Floats:
            summed = np.bincount(place, values, minlength=size).astype(np.float64)
            return summed.reshape(segments, width, tiers).swapaxes(1, 2)

        steepest = np.zeros(size)
        np.maximum.at(steepest, place, inverse)
        never = traffic.propensities[labelled] >= off_policy.NEVER_EXPLORED
        columns = (
            np.ones_like(inverse),
            inverse,
            inverse * rewards,
            inverse**2,
            inverse**2 * rewards,
            (inverse * rewards) ** 2,
            inverse * surprise,
            (inverse * surprise) ** 2,
            never.astype(np.float64),
        )
        return cls(
            rated={name: by_cell(column) for name, column in zip(RATED, columns, strict=True)},
            steepest=steepest.reshape(segments, width, tiers).swapaxes(1, 2),
            rewards=_moments(rewards, traffic.segments[labelled], segments),
            surprises=_moments(surprise, traffic.segments[labelled], segments),
            requests=_by(cell, None, segments, width),
            promised=np.stack([_by(cell, promised[:, tier], segments, width) for tier in range(tiers)], axis=1),
            products=np.stack(
                [
                    np.stack(
                        [_by(cell, promised[:, a] * promised[:, b], segments, width) for a in range(tiers)], axis=1
                    )
                    for b in range(tiers)
                ],
                axis=1,
            ),
        )

    def quality(self, sent: Sent, kept: slice) -> Quality:
        """Estimate the mean feedback if requests had gone where `sent` says."""
        rated = {name: column[kept] for name, column in self.rated.items()}
        count = int(rated["count"].sum())
        if count < 2:
            return Quality(UNKNOWN_INTERVAL, UNKNOWN_INTERVAL, UNKNOWN_INTERVAL, count, 0.0, off_policy.too_few(count))
        chance, squared = sent.chance, sent.mean_square()
        weight, weight2 = float((chance * rated["p"]).sum()), float((squared * rated["pp"]).sum())
        total = max(weight, 1e-12)
        effective = total**2 / max(weight2, 1e-12)
        gained = float((chance * rated["pr"]).sum())
        normalised = gained / total
        off = (squared * (rated["pprr"] - 2 * normalised * rated["ppr"] + normalised**2 * rated["pp"])).sum()
        heaviest = float((sent.largest() * self.steepest[kept]).max())
        swing = heaviest / total * _spread(self.rewards[kept])
        unsupported = float(((1.0 - chance) * rated["never"]).sum()) / count
        mean = _interval(count, weight, weight2)
        return Quality(
            off_policy.widened(_interval(count, gained, float((squared * rated["pprr"]).sum())), swing),
            off_policy.widened(Interval.around(normalised, float(np.sqrt(max(off, 0.0))) / total), swing),
            self._doubly_robust(sent, kept, rated, heaviest / count * _spread(self.surprises[kept])),
            count,
            effective,
            off_policy.doubt(count, effective, unsupported, mean.value, mean.error * np.sqrt(count), heaviest),
        )

    def _doubly_robust(self, sent: Sent, kept: slice, rated: dict[str, Floats], swing: float) -> Interval:
        chance, squared = sent.chance, sent.mean_square()
        count, requests = int(rated["count"].sum()), int(self.requests[kept].sum())
        direct = _interval(
            requests, float((chance * self.promised[kept]).sum()), self._sum_squared_promises(sent, kept)
        )
        corrected = _interval(count, float((chance * rated["ps"]).sum()), float((squared * rated["ppss"]).sum()))
        correction = off_policy.widened(corrected, swing)
        return Interval.around(direct.value + correction.value, float(np.hypot(direct.error, correction.error)))

    def _sum_squared_promises(self, sent: Sent, kept: slice) -> float:
        """Return the sum of squares of what each request is promised: whichever tier is its greedy choice."""
        products, explored = self.products[kept], sent.explored
        shape = self.promised[kept].shape
        explored = np.broadcast_to(explored, shape)
        either = np.einsum("sax,sabx,sbx->sx", explored, products, explored)
        crossed = np.einsum("sabx,sbx->sax", products, explored)
        own = np.einsum("saax->sax", products)
        share = 1.0 - sent.explore
        greedy = np.broadcast_to(sent.greedy, shape)
        return float(either.sum() + (greedy * (2 * share * crossed + share**2 * own)).sum())


def _by(cell: Ints, values: Floats | None, segments: int, width: int) -> Floats:
    sums = np.bincount(cell, values, minlength=segments * width).astype(np.float64)
    return sums.reshape(segments, width)


def _moments(values: Floats, segments: Ints, count: int) -> Floats:
    sums = [np.bincount(segments, column, minlength=count) for column in (np.ones_like(values), values, values**2)]
    return np.stack(sums, axis=1).astype(np.float64)


def _spread(moments: Floats) -> float:
    """Return the standard deviation, from counts, sums and sums of squares."""
    count, total, squares = moments.sum(axis=0).tolist()
    return float(np.sqrt(max(squares / count - (total / count) ** 2, 0.0)))


def _interval(count: int, total: float, squares: float) -> Interval:
    """Return a mean with its standard error."""
    mean = total / count
    variance = max(squares - count * mean**2, 0.0) / max(count - 1, 1)
    return Interval.around(mean, float(np.sqrt(variance / count)))
