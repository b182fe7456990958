"""What the pages may use of the running service: one frozen bundle, made in `router.app`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Engine

from classifier.model import DifficultyModel
from router.api.quotes import LargestCosts
from router.canary.verdicts import Verdict
from router.decision.engine import DecisionEngine
from router.decision.quotes import Quoter
from router.health.targets import TargetReading
from router.ledger.prices import PriceBook
from router.ledger.shipping import ShippingState
from router.policies.versions import PolicyBook
from router.settings import Settings
from router.tuning.past import read_past
from router.tuning.preview.cache import Previews


@dataclass(frozen=True, slots=True)
class Services:
    """The books, the settings, and the live parts of this worker."""

    engine: Engine
    settings: Settings
    now_us: Callable[[], int]
    policies: PolicyBook
    routing: DecisionEngine
    prices: PriceBook
    quoter: Quoter
    largest_costs: LargestCosts
    shipping: Callable[[], ShippingState]
    classifier: Callable[[], DifficultyModel]  # that of the policy in force
    verdict_on: Callable[[int], Verdict | None] = lambda canary_id: None
    targets: Callable[[], Sequence[TargetReading]] = tuple
    previews: Previews = field(init=False)

    def __post_init__(self) -> None:
        previews = Previews(lambda window, most: read_past(self.engine, window, most), self.now_us)
        object.__setattr__(self, "previews", previews)
