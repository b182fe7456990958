"""What one worker knows of one classifier: the model, what it says of the configured models, the scores it gave.

The scores are kept apart by segment where a segment has a share cap of its own: its cap is a share of its own queries.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from classifier.drift import ScoreStability
from classifier.model import DifficultyModel
from classifier.types import Abilities
from router.decision.share_cap import ScoreWindow

Models = Callable[[str | None], DifficultyModel]


@dataclass(frozen=True, slots=True)
class Scorer:
    """A classifier at work."""

    model: DifficultyModel
    abilities: Abilities
    stability: ScoreStability  # of the scores that decided something
    _windows: dict[str | None, ScoreWindow] = field(default_factory=dict)

    def window(self, segment: str | None) -> ScoreWindow:
        """The last scores of a segment with a cap of its own, or of all others (None)."""
        window = self._windows.get(segment)
        if window is None:
            window = self._windows[segment] = ScoreWindow(self.model.reference_scores.tolist())
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
