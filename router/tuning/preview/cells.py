"""The cells of a preview: what requests cost and took by block, segment, votability and bin of their score.

Pure. What a cell's requests would cost in another tier is the mean of what the back-test's model says of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np

from router.tuning.counterfactual import Counterfactual, design_of
from router.tuning.preview.bins import CapCuts, ScoreBins
from router.tuning.preview.quality import Ratings
from router.tuning.resampling import Resampling
from router.tuning.traffic import TIERS, Bools, Floats, Ints, Traffic, fill_unknown

QUANTITIES = ("cost", "wait", "first_byte")
VOTES = 2
BLOCKS = 200
LEAST_BLOCKS = 20
MOST_SEGMENTS = 60
OTHERS = "(others)"  # no name of a segment
MOST_CELLS = 1_200_000  # of one quantity: 30 MB with all of them
MOST_FITTED = 150_000  # rows that the model of what was not observed is fitted to
REPLICATES = 300
TIME_BINS = 400
MOMENTS = 4  # in a block, at which the share cap's window is looked at


@dataclass(frozen=True, slots=True)
class Quantity:
    """Cost or time by cell: `amounts` if all went to a tier (blocks x segments x tiers x cells), and what is not sure.

    `elsewhere` counts those that would be there by the model only; `pulls` say how its coefficients move their sum,
    and `moves` how resampling moves the coefficients (None: the tier is not known). `as_it_was` has what it came to
    (blocks x segments), unknown amounts by the model.
    """

    amounts: Floats
    elsewhere: Floats
    pulls: Floats
    moves: tuple[Floats | None, ...]
    expected: Floats
    now_sums: Floats
    now_counts: Floats
    as_it_was: Floats

    def expectation_now(self, kept: slice) -> Floats:
        """Return what the model expects of those that each tier has now, on average."""
        with np.errstate(invalid="ignore", divide="ignore"):
            means: Floats = self.now_sums[kept].sum(axis=0) / self.now_counts[kept].sum(axis=0)
        return means


@dataclass(frozen=True, slots=True)
class Cells:
    """Everything that a preview keeps of traffic."""

    requests: int
    segment_names: tuple[str, ...]
    bins: ScoreBins
    caps: CapCuts
    blocks: int
    weights: Floats  # how often each block counts in each resampling
    count: Floats  # blocks x segments x cells
    taken: Floats  # requests by the tier that they took: blocks x segments x tiers
    revenue: Floats  # blocks x segments
    quantities: dict[str, Quantity]
    times: Floats  # known waits by segment, block, tier and bin of time
    time_edges: Floats
    ratings: Ratings

    @property
    def width(self) -> int:
        """How many cells a segment has in a block."""
        return VOTES * len(self.bins)

    def nbytes(self) -> int:
        """Tell how much memory they keep."""
        return _size(self) + _size(self.ratings) + sum(map(_size, self.quantities.values())) + self.caps.nbytes()

    def add_up(self, by_block: Floats) -> Floats:
        """Add blocks up: all of them first, then each resampling."""
        return np.concatenate(([by_block.sum()], self.weights @ by_block))


def _size(of: object) -> int:
    """Return the bytes of the arrays in the fields of a dataclass, and in its dictionaries and tuples of arrays."""
    values = [getattr(of, one.name) for one in fields(of)]  # type: ignore[arg-type]
    nested = [v for value in values if isinstance(value, dict) for v in value.values()]
    nested += [v for value in values if isinstance(value, tuple) for v in value]
    return sum(value.nbytes for value in (*values, *nested) if isinstance(value, np.ndarray))


def cells_of(traffic: Traffic, exact: Sequence[float], seed: int, sensitivity: float) -> Cells:
    """Put requests into cells, by what their scores are worth at a cost sensitivity; raises ValueError without any."""
    if not len(traffic):
        raise ValueError("there are no requests to replay")
    traffic = _fold_segments(traffic)
    worths = traffic.worths(sensitivity)
    bins = ScoreBins(worths, exact)
    segments, width = len(traffic.segment_names), VOTES * len(bins)
    room = MOST_CELLS // (segments * len(TIERS) * width)
    blocks = min(len(traffic), max(min(BLOCKS, room), LEAST_BLOCKS))
    resampling = Resampling(len(traffic), seed, REPLICATES, blocks)
    block = resampling.block
    cell = traffic.segments * width + traffic.may_vote * len(bins) + bins.of(worths)
    shape = (blocks, segments, width)
    key = block * (segments * width) + cell
    starts = np.searchsorted(block, np.arange(blocks + 1))
    count = np.bincount(key, minlength=blocks * segments * width).astype(np.float64).reshape(shape)
    revenue = np.bincount(
        block * segments + traffic.segments, fill_unknown(traffic.revenue_usd), minlength=blocks * segments
    )
    places = (block * segments + traffic.segments) * len(TIERS) + traffic.tiers
    taken = np.bincount(places, minlength=blocks * segments * len(TIERS)).astype(np.float64)
    times, time_edges = _times(traffic, block, blocks)
    return Cells(
        requests=len(traffic),
        segment_names=traffic.segment_names,
        bins=bins,
        caps=CapCuts(worths, traffic.segments, _moments(starts, MOMENTS), _moments(starts, 1)),
        blocks=blocks,
        weights=resampling.weights,
        count=count,
        taken=taken.reshape(blocks, segments, len(TIERS)),
        revenue=revenue.astype(np.float64).reshape(blocks, segments),
        quantities=_quantities(traffic, cell, key, count, seed),
        times=times,
        time_edges=time_edges,
        ratings=Ratings.of(traffic, cell, width),
    )


def _fold_segments(traffic: Traffic) -> Traffic:
    """Keep the largest segments and make one of all others, so that memory stays bounded."""
    if len(traffic.segment_names) <= MOST_SEGMENTS:
        return traffic
    sizes = np.bincount(traffic.segments, minlength=len(traffic.segment_names))
    kept = np.sort(np.argsort(-sizes, kind="stable")[: MOST_SEGMENTS - 1])
    place = np.full(len(sizes), len(kept))
    place[kept] = np.arange(len(kept))
    names = (*(traffic.segment_names[one] for one in kept.tolist()), OTHERS)
    return replace(traffic, segments=place[traffic.segments], segment_names=names)


def _moments(starts: Ints, each: int) -> Ints:
    """Spread so many moments evenly over each block, as places in the traffic."""
    parts = (np.arange(each) + 0.5) / each
    return (starts[:-1, None] + parts * np.diff(starts)[:, None]).astype(np.int64).ravel()


def _quantities(traffic: Traffic, cell: Ints, key: Ints, count: Floats, seed: int) -> dict[str, Quantity]:
    step = -(-len(traffic) // MOST_FITTED)
    thin = traffic.rows(slice(None, None, step)) if step > 1 else traffic
    resampling = Resampling(len(thin), seed, REPLICATES, len(count))
    design = design_of(thin)
    quantities = {}
    for name, every, fitted in zip(QUANTITIES, _values(traffic), _values(thin), strict=True):
        model = Counterfactual(thin, design, fitted, resampling)
        columns = _Columns(traffic, every, cell, key)
        quantities[name] = _quantity(columns, thin, cell[::step], fitted, design, model, count)
    return quantities


def _values(traffic: Traffic) -> tuple[Floats, Floats, Floats]:
    return traffic.cost_usd, traffic.total_ms / 1e3, traffic.first_byte_ms / 1e3


@dataclass(frozen=True, slots=True)
class _Columns:
    """A quantity of all requests, and where they belong: in which cell, and with its block."""

    traffic: Traffic
    values: Floats
    cell: Ints
    key: Ints


def _quantity(
    columns: _Columns,
    thin: Traffic,
    cell: Ints,
    values: Floats,
    design: Floats,
    model: Counterfactual,
    count: Floats,
) -> Quantity:
    _, segments, width = count.shape
    tiers, known = columns.traffic.tiers, ~np.isnan(columns.values)
    place = columns.key[known] * len(TIERS) + tiers[known]
    size = count.size * len(TIERS)
    own = np.bincount(place, columns.values[known], minlength=size).reshape(*count.shape, len(TIERS))
    have_known = np.bincount(place, minlength=size).reshape(own.shape)
    have = np.bincount(columns.key * len(TIERS) + tiers, minlength=size).reshape(own.shape)
    elsewhere = count[..., None] - have_known
    is_own = (thin.tiers[:, None] == np.arange(len(TIERS))) & ~np.isnan(values)[:, None]
    expected = np.nan_to_num(model.expected)
    there = _means(expected, cell, ~is_own, segments, width)
    pulls = np.zeros((segments, len(TIERS), width, design.shape[1]))
    order = np.argsort(cell, kind="stable")
    firsts = np.flatnonzero(np.diff(cell[order], prepend=-1))
    at = cell[order][firsts]
    for tier in range(len(TIERS)):
        weight = expected[:, tier] * model.follows[:, tier] * ~is_own[:, tier]
        summed = np.add.reduceat((design * weight[:, None])[order], firsts, axis=0)
        pulls[at // width, tier, at % width] = summed * (len(columns.traffic) / len(thin))
    now, now_counts = _by_segment(thin, expected * is_own), _by_segment(thin, is_own.astype(np.float64))
    everywhere = _means(expected, cell, np.ones_like(is_own), segments, width) * count.sum(axis=0)[..., None]
    return Quantity(
        amounts=np.ascontiguousarray((own + elsewhere * there).swapaxes(2, 3)),
        elsewhere=elsewhere.sum(axis=0).swapaxes(1, 2),
        pulls=pulls,
        moves=model.moves,
        expected=everywhere.swapaxes(1, 2),
        now_sums=now,
        now_counts=now_counts,
        as_it_was=(own + (have - have_known) * there).sum(axis=(2, 3)),
    )


def _by_segment(thin: Traffic, columns: Floats) -> Floats:
    sums = [np.bincount(thin.segments, column, minlength=len(thin.segment_names)) for column in columns.T]
    return np.stack(sums, axis=1).astype(np.float64)


def _means(values: Floats, cell: Ints, wanted: Bools, segments: int, width: int) -> Floats:
    """Return means by segment, cell and tier of the wanted; where there is none, of all segments or of the tier."""
    means = np.empty((segments, width, values.shape[1]))
    for tier in range(values.shape[1]):
        rows = wanted[:, tier]
        counts = np.bincount(cell[rows], minlength=segments * width).reshape(segments, width)
        sums = np.bincount(cell[rows], values[rows, tier], minlength=segments * width).reshape(segments, width)
        with np.errstate(invalid="ignore", divide="ignore"):
            overall = sums.sum() / counts.sum() if rows.any() else 0.0
            pooled = np.where(counts.sum(axis=0) > 0, sums.sum(axis=0) / counts.sum(axis=0), overall)
            means[:, :, tier] = np.where(counts > 0, sums / counts, pooled)
    return means


def _times(traffic: Traffic, block: Ints, blocks: int) -> tuple[Floats, Floats]:
    """Count which waits were seen how often, by segment, block and tier."""
    known = ~np.isnan(traffic.total_ms)
    seconds = np.maximum(traffic.total_ms[known] / 1e3, 1e-3)
    low, high = (float(seconds.min()), float(seconds.max())) if len(seconds) else (1.0, 2.0)
    edges = np.geomspace(low * 0.999, max(high, low) * 1.001, TIME_BINS + 1)
    at = np.clip(np.searchsorted(edges, seconds, "right") - 1, 0, TIME_BINS - 1)
    shape = (len(traffic.segment_names), blocks, len(TIERS), TIME_BINS)
    place = np.ravel_multi_index((traffic.segments[known], block[known], traffic.tiers[known], at), shape)
    return np.bincount(place, minlength=int(np.prod(shape))).reshape(shape).astype(np.float32), edges
