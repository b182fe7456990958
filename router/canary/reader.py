"""Reads the two arms of a canary from the books, piece by piece, and remembers what it has read.

What has arrived is found by when it was recorded, among the ids of the last hours: ids are in the order in which
requests began, not ended. A reading that begins anew comes to the same arms. Blocking; call it off the event loop.
"""

from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, Engine, text

from router.canary.arms import Arms, Observation, Stratum
from router.database import codes, ids
from router.decision.policy import Policy
from router.ledger.feedback import WRONG_IN_SQL
from router.policies.canaries import Canary
from router.types import CallKind, Outcome, Reason, Signal, Tier

PAGE_ROWS = 10_000
PAGES_AT_ONCE = 5  # about a second of work: the shipping thread waits for it
LATE_US = 30_000_000  # recorded by another clock, or committed after what was recorded later
USUAL_LIFE_US = 900_000_000
LONGEST_LIFE_US = 7_500_000_000
SWEEP_EVERY_US = 300_000_000
OVERLAP_RATINGS = 200  # numbers are given before ratings are committed

TIER_OF = {code: tier.value for tier, code in codes.TIERS.items()}
FAST, PARALLEL = codes.TIERS[Tier.FAST], codes.TIERS[Tier.PARALLEL]
ASKED_AGAIN = (codes.SIGNALS[Signal.REGENERATE], codes.SIGNALS[Signal.DEEPER])
ASKED_FOR = (codes.REASONS[Reason.OVERRIDE], codes.REASONS[Reason.EFFORT])
FAILED = codes.OUTCOMES[Outcome.ERROR]

COLUMNS = """{id} AS id, r.recorded_at, r.policy_version, r.segment_id, r.first_tier, r.shadow_version, r.shadow_tier,
    r.reason, r.outcome, r.first_byte_ms, r.signal, {previous} AS previous_id, r.expected_revenue_nanousd,
    r.conversation_mark"""
REQUESTS = """
SELECT {columns},
    (SELECT SUM(c.cost_nanousd) FROM calls c WHERE c.request_id = r.id AND c.kind <> {shadow}) AS cost_nanousd,
    (SELECT COUNT(*) FROM calls c WHERE c.request_id = r.id AND c.kind <> {shadow} AND c.cost_nanousd IS NULL)
        AS unpriced
FROM requests r
WHERE {between} AND r.recorded_at >= :since AND r.policy_version IN (:canary, :control)
ORDER BY r.id LIMIT :most
"""
RATINGS = """
SELECT f.id AS number, {columns} FROM feedback f JOIN requests r ON r.id = f.request_id
WHERE f.id > :after AND f.created_at >= :since AND {wrong}
    AND {between} AND r.policy_version IN (:canary, :control)
"""


class ArmsReader:
    """What the books hold of a canary and of the requests beside it, since it started."""

    def __init__(self, engine: Engine, canary: Canary, policies: tuple[Policy, Policy], now_us: int) -> None:
        self.arms = Arms()
        self.canary = canary
        self.is_complete = False
        self._engine = engine
        self._first = ids.first_at(canary.started_at_us // 1_000)
        self._cursor = self._first
        self._since = self._swept = now_us
        self._read_lately: dict[bytes, int] = {}
        self._disliked: set[bytes] = set()
        self._last_rating = 0
        trial, active = policies
        samples = ("parallel_samples", "parallel_confidence", "parallel_confidence_by_type")
        self._parallel_differs = any(getattr(trial, name) != getattr(active, name) for name in samples)
        self._cap_differs = _cost_caps(trial) != _cost_caps(active)
        dialect = engine.dialect.name
        columns = COLUMNS.format(id=ids.as_bytes(dialect, "r.id"), previous=ids.as_bytes(dialect, "r.previous_id"))
        fixed = {"columns": columns, "between": ids.between(dialect, "r.id"), "shadow": codes.KINDS[CallKind.SHADOW]}
        fixed["wrong"] = WRONG_IN_SQL
        self._requests, self._ratings = (text(query.format(**fixed)) for query in (REQUESTS, RATINGS))

    def read(self, now_us: int) -> None:
        """Read what has arrived; sets `is_complete` once all that was there has been read. Raises SQLAlchemyError."""
        with self._engine.connect() as connection:
            if not self.is_complete:
                self.is_complete = self._pages(connection, self._cursor, 0, self._move)
            else:
                self._read_new(connection, now_us)
            if self.is_complete:
                self._read_ratings(connection)

    def _read_new(self, connection: Connection, now_us: int) -> None:
        is_sweep = now_us - self._swept >= SWEEP_EVERY_US
        since, life = (self._swept, LONGEST_LIFE_US) if is_sweep else (self._since, USUAL_LIFE_US)
        low = max(self._first, ids.first_at((now_us - life) // 1_000))
        self._pages(connection, low, since - LATE_US, lambda _: None, most_pages=None)
        self._since = now_us
        if is_sweep:
            self._swept = now_us
            horizon = now_us - SWEEP_EVERY_US - 2 * LATE_US
            self._read_lately = {id_: at for id_, at in self._read_lately.items() if at >= horizon}

    def _pages(
        self,
        connection: Connection,
        low: int,
        since: int,
        moved: Callable[[int], None],
        most_pages: int | None = PAGES_AT_ONCE,
    ) -> bool:
        """Read page after page; tells whether the end was reached."""
        pages = 0
        while most_pages is None or pages < most_pages:
            bounds = ids.bounds(self._engine.dialect.name, low, ids.first_at(ids.END_OF_TIME_MS))
            asked = {**bounds, "since": since, "most": PAGE_ROWS, **self._versions}
            rows = connection.execute(self._requests, asked).all()
            for row in rows:
                self._take(row)
            if rows:
                low = int.from_bytes(rows[-1].id, "big") + 1
                moved(low)
            if len(rows) < PAGE_ROWS:
                return True
            pages += 1
        return False

    @property
    def _versions(self) -> dict[str, int]:
        return {"canary": self.canary.version, "control": self.canary.control}

    def _move(self, cursor: int) -> None:
        self._cursor = cursor

    def _take(self, row: Any) -> None:
        id_ = bytes(row.id)
        if id_ in self._read_lately:
            return
        if row.recorded_at >= self._swept - 2 * LATE_US:
            self._read_lately[id_] = row.recorded_at
        since_start = row.previous_id is None or int.from_bytes(row.previous_id, "big") >= self._first
        self.arms.add(
            Observation(
                is_canary=row.policy_version == self.canary.version,
                stratum=self._stratum(row),
                cost_nanousd=int(row.cost_nanousd) if row.cost_nanousd is not None and not row.unpriced else None,
                revenue_nanousd=row.expected_revenue_nanousd,
                has_failed=row.outcome == FAILED,
                first_byte_ms=row.first_byte_ms,
                asked_again=row.signal in ASKED_AGAIN and since_start,
                decided_itself=row.reason not in ASKED_FOR,
                is_deep=row.first_tier != FAST,
                conversation=row.conversation_mark,
            )
        )

    def _stratum(self, row: Any) -> Stratum:
        """Which tier either policy wanted; unknown where the other arm's policy did not decide beside it."""
        is_canary = row.policy_version == self.canary.version
        other = self.canary.control if is_canary else self.canary.version
        segment = str(row.segment_id)
        if row.shadow_version != other or row.shadow_tier is None:
            return Stratum(segment)
        tiers = (row.shadow_tier, row.first_tier) if is_canary else (row.first_tier, row.shadow_tier)
        differs = tiers[0] != tiers[1] or self._cap_differs or (tiers[0] == PARALLEL and self._parallel_differs)
        return Stratum(segment, TIER_OF[tiers[0]], TIER_OF[tiers[1]], differs)

    def _read_ratings(self, connection: Connection) -> None:
        """Count requests that somebody gave a thumbs-down, once each, however late."""
        bounds = ids.bounds(self._engine.dialect.name, self._first, ids.first_at(ids.END_OF_TIME_MS))
        after = self._last_rating - OVERLAP_RATINGS
        asked = {**bounds, "after": after, "since": self.canary.started_at_us, **self._versions}
        for row in connection.execute(self._ratings, asked):
            self._last_rating = max(self._last_rating, row.number)
            id_ = bytes(row.id)
            if id_ not in self._disliked:
                self._disliked.add(id_)
                is_canary = row.policy_version == self.canary.version
                self.arms.tally(self._stratum(row), is_canary=is_canary).thumbs_down += 1


def _cost_caps(policy: Policy) -> tuple[object, ...]:
    """What requests may cost by a policy, in all segments."""
    return (policy.max_cost_usd, *((name, dials.max_cost_usd) for name, dials in sorted(policy.segments.items())))
