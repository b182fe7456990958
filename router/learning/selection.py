"""Which requests are learnt from: whose hashed features are kept, and which are duelled. Neither changes an answer.

What is explored and what is duelled is always kept: labels are likeliest there. The choice falls by bits of the
request id, so that it is the same wherever it is asked.
"""

from dataclasses import dataclass

from classifier.rows import ROW_FORMAT, pack
from classifier.types import Estimate
from router.learning.duels import Duels
from router.ledger.entries import KeptFeatures
from router.types import Decision, Reason

UNDECIDED = frozenset({Reason.OVERRIDE, Reason.EFFORT, Reason.HOUSEKEEPING})  # no score had a say


@dataclass(frozen=True, slots=True)
class Learning:
    """What one worker keeps to learn from."""

    duels: Duels | None = None
    keep_share: float = 0.0

    def is_duelled(self, request_id: str, decision: Decision, share: float) -> bool:
        """Tell whether an answer to this request is taken on by another tier; `share` of them are."""
        if self.duels is None or decision.reason in UNDECIDED:
            return False
        return int(request_id[18:24], 16) / 2**24 < share

    def features_to_keep(
        self, request_id: str, decision: Decision, estimate: Estimate, created_at: int, *, is_duelled: bool
    ) -> KeptFeatures | None:
        """Return the features of a request, if they are to be kept."""
        if estimate.seen is None or decision.reason in UNDECIDED or not self.keep_share:
            return None
        is_wanted = is_duelled or decision.reason is Reason.EXPLORED
        if not is_wanted and int(request_id[24:], 16) / 2**32 >= self.keep_share:
            return None
        return KeptFeatures(request_id, created_at, ROW_FORMAT, pack(estimate.seen))
