"""What one worker knows of one classifier: the model, what it says of the configured models, the scores it gave.

The scores are kept apart by segment where a segment has a share cap of its own: its cap is a share of its own queries.
"""

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from itertools import islice
from typing import Protocol

from classifier.drift import ScoreStability
from classifier.model import DifficultyModel
from classifier.types import Abilities
from router.decision.share_cap import WINDOW_SCORES, Decided, ScoreWindow
from router.decision.worth import worth_of

Models = Callable[[str | None], DifficultyModel]


class DecidedRow(Protocol):
    """A decision of any worker, as the books have it."""

    @property
    def segment(self) -> str: ...
    @property
    def score(self) -> float: ...
    @property
    def cost_ratio(self) -> float: ...
    @property
    def is_deep(self) -> bool: ...


class Recent(Protocol):
    """The last decisions of all workers by classifier, oldest first; `generation` moves with every change."""

    @property
    def generation(self) -> int: ...
    @property
    def by_classifier(self) -> Mapping[str, Sequence[DecidedRow]]: ...


@dataclass(frozen=True, slots=True)
class NothingRecent:
    """Where there are no books to begin from."""

    generation: int = 0
    by_classifier: Mapping[str, Sequence[DecidedRow]] = field(default_factory=dict)


NOTHING_RECENT = NothingRecent()


@dataclass(slots=True)
class Scorer:
    """A classifier at work."""

    model: DifficultyModel
    abilities: Abilities
    stability: ScoreStability  # of the scores that decided something
    _windows: dict[tuple[str | None, float], ScoreWindow] = field(default_factory=dict)
    _generation: int = 0

    def window(
        self,
        segment: str | None,
        recent: Recent = NOTHING_RECENT,
        apart: Set[str] = frozenset(),
        sensitivity: float = 0.0,
    ) -> ScoreWindow:
        """The last worths of a segment with a cap of its own, or of all others but those `apart` (None).

        They are what the scores are worth where costs count so much (`router.decision.worth`).
        A window begins anew with what the books say whenever they say something new, so that a restart and a second
        worker go on where others were.
        """
        if recent.generation != self._generation:
            self._windows.clear()
            self._generation = recent.generation
        window = self._windows.get((segment, sensitivity))
        if window is None:
            newest_first = (
                Decided(worth_of(row.score, row.cost_ratio, sensitivity), row.is_deep)
                for row in reversed(recent.by_classifier.get(self.model.version, ()))
                if (row.segment not in apart if segment is None else row.segment == segment)
            )
            decided = list(islice(newest_first, WINDOW_SCORES))[::-1]
            window = ScoreWindow(self.model.reference_scores.tolist(), recent=decided)
            self._windows[segment, sensitivity] = window
        return window


class Scorers:
    """The classifiers that policies name, by version; None is the configured one."""

    def __init__(self, models: Models, abilities_of: Callable[[DifficultyModel], Abilities]) -> None:
        self._models = models
        self._abilities_of = abilities_of
        self._scorers: dict[str | None, Scorer] = {}

    def of(self, classifier: str | None) -> Scorer:
        """The scorer of a version, made anew where another model goes by that name now."""
        model, scorer = self._models(classifier), self._scorers.get(classifier)
        if scorer is None or scorer.model is not model:
            stability = ScoreStability(model.reference_scores)
            scorer = self._scorers[classifier] = Scorer(model, self._abilities_of(model), stability)
        return scorer

    def find(self, classifier: str | None) -> Scorer | None:
        """The scorer of a version that has judged something here."""
        return self._scorers.get(classifier)
