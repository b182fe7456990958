"""What the classifier is asked and what it answers. A leaf: plain values, standard library only."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from classifier.rows import ReadFeatures

STAKES_BONUS = 0.1
Z95 = 1.959964  # standard errors from a figure to either end of its 95 % interval


class AnswerType(StrEnum):
    """The form a right answer takes; it decides whether answers can be voted on or verified."""

    NUMERIC = "numeric"
    CHOICE = "choice"
    DATE = "date"
    ENTITY = "entity"
    JSON = "json"
    CODE = "code"
    FACTUAL = "factual"
    OPEN = "open"


class Stakes(StrEnum):
    """How much a wrong answer could hurt: medical, legal, financial, safety and self-harm questions are high."""

    LOW = "low"
    HIGH = "high"


@dataclass(frozen=True, slots=True)
class Turn:
    """One message of the conversation; a sequence of turns has the oldest first."""

    role: str  # system | developer | user | assistant | tool
    text: str
    attachments: int = 0
    tool_calls: int = 0


class Forecast(NamedTuple):
    """Output tokens at the 10, 50 and 90 % points."""

    low: int
    expected: int
    high: int


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure with its 95 % interval and, where one was worked out, its standard error; NaN is not known.

    The error is a field of its own because it does not follow from the ends: those of a bootstrap or of a share lie
    unevenly around the figure.
    """

    value: float
    low: float
    high: float
    error: float = math.nan

    @classmethod
    def around(cls, value: float, error: float) -> "Interval":
        """Return the interval of a figure that errs as a normal one does, by its standard error."""
        return cls(value, value - Z95 * error, value + Z95 * error, error)

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


UNKNOWN_INTERVAL = Interval(math.nan, math.nan, math.nan)


@dataclass(frozen=True, slots=True)
class Abilities:
    """Abilities of the models behind the tiers; None stands for the artefact's reference model."""

    fast: float | None = None
    reasoning: float | None = None

    @classmethod
    def of(cls, known: Callable[[str], float | None], fast: "NamedModel", reasoning: "NamedModel") -> "Abilities":
        """Find where models stand on the scale of an artefact: as configured, else as it knows them by name."""
        return cls(*(known(model.name) if model.ability is None else model.ability for model in (fast, reasoning)))


class NamedModel(NamedTuple):
    """A model behind a tier, with its ability where the operator gives it."""

    name: str
    ability: float | None = None


@dataclass(frozen=True, slots=True)
class Estimate:
    """How likely each tier is to be right about a query, and what its answer will be like."""

    p_fast: float  # calibrated P(correct)
    p_reasoning: float
    uncertainty: float  # half width of the 95 % interval on the gain, 0..1
    answer_type: AnswerType
    stakes: Stakes
    output_fast: Forecast
    output_reasoning: Forecast
    version: str  # of the artefact
    seen: "ReadFeatures | None" = field(
        default=None, compare=False, repr=False
    )  # what it was read from, to learn from later

    @property
    def gain(self) -> float:
        """What the reasoning tier is expected to add; -1..1."""
        return self.p_reasoning - self.p_fast

    @property
    def difficulty(self) -> float:
        """For display: how likely the fast tier is to fail."""
        return 1.0 - self.p_fast

    @property
    def score(self) -> float:
        """What thresholds are compared with: the gain, and a fixed bonus when the stakes are high."""
        return self.gain + (STAKES_BONUS if self.stakes is Stakes.HIGH else 0.0)
