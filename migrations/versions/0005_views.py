"""Read-only views with stable names, for tools that speak SQL. Amounts are nano-dollars, times microseconds (UTC).

Safe before deploying the code: nothing of ours reads them.
"""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

TIERS = "WHEN 1 THEN 'fast' WHEN 2 THEN 'reasoning' WHEN 3 THEN 'parallel'"
OUTCOMES = "WHEN 1 THEN 'ok' WHEN 2 THEN 'error' WHEN 3 THEN 'cancelled' WHEN 4 THEN 'unknown'"
REASONS = """WHEN 1 THEN 'below_threshold' WHEN 2 THEN 'above_threshold' WHEN 3 THEN 'share_cap'
    WHEN 4 THEN 'budget_spent' WHEN 5 THEN 'override' WHEN 6 THEN 'effort' WHEN 7 THEN 'capability'
    WHEN 8 THEN 'housekeeping' WHEN 9 THEN 'follow_up' WHEN 10 THEN 'pushback' WHEN 11 THEN 'explored'
    WHEN 12 THEN 'fallback'"""
# One row per request; its cost is NULL when none of its calls has a price.
V_REQUESTS = """
CREATE VIEW v_requests AS
SELECT {id} AS request_id, r.opened_at, r.closed_at, r.key_id, segment.text AS segment, country.text AS country,
    language.text AS language, answer_type.text AS answer_type, model.text AS requested_model,
    CASE r.first_tier {tiers} END AS first_tier, CASE r.final_tier {tiers} END AS tier,
    CASE r.reason {reasons} END AS reason, CASE r.outcome {outcomes} END AS outcome, r.score, r.propensity,
    r.policy_version, r.revenue_version, r.turn, r.streamed, r.ads_eligible, r.first_byte_ms, r.total_ms, r.synthetic,
    r.expected_revenue_nanousd,
    (SELECT SUM(e.amount_nanousd) FROM revenue_events e WHERE e.request_id = r.id) AS booked_revenue_nanousd,
    (SELECT COUNT(*) FROM calls c WHERE c.request_id = r.id) AS calls,
    (SELECT SUM(c.cost_nanousd) FROM calls c WHERE c.request_id = r.id)
        + COALESCE((SELECT SUM(a.amount_nanousd) FROM adjustments a WHERE a.request_id = r.id), 0) AS cost_nanousd
FROM requests r
JOIN labels segment ON segment.id = r.segment_id
JOIN labels country ON country.id = r.country_id
JOIN labels model ON model.id = r.requested_model_id
JOIN labels answer_type ON answer_type.id = r.answer_type_id
LEFT JOIN labels language ON language.id = r.language_id
"""
V_CALLS = "CREATE VIEW v_calls AS SELECT * FROM call_lines"
# From the rollups, so quick at any size: whatever arrived since the last refresh is not in it yet.
V_COSTS = """
CREATE VIEW v_costs_{name} AS
SELECT {start} AS starts_at, CASE r.key1 {tiers} END AS tier, r.requests, r.calls, r.priced, r.estimated, r.unknown,
    r.cost_nanousd, r.expected_nanousd AS expected_revenue_nanousd, r.booked_nanousd AS booked_revenue_nanousd,
    r.input_fresh, r.input_cached, r.input_cache_write, r.output_visible, r.output_reasoning
FROM rollups r WHERE r.grouping_id = 1 AND r.grain = {grain}
"""
NAMES = ("v_requests", "v_calls", "v_costs_daily", "v_costs_hourly")


def upgrade() -> None:
    is_postgresql = op.get_bind().dialect.name == "postgresql"
    id_ = "replace(r.id::text, '-', '')" if is_postgresql else "lower(hex(r.id))"
    op.execute(V_REQUESTS.format(id=id_, tiers=TIERS, reasons=REASONS, outcomes=OUTCOMES))
    op.execute(V_CALLS)
    start = "CAST(r.start AS BIGINT) * 900000000"
    op.execute(V_COSTS.format(name="daily", start=start, tiers=TIERS, grain=2))
    op.execute(V_COSTS.format(name="hourly", start=start, tiers=TIERS, grain=1))


def downgrade() -> None:
    for name in NAMES:
        op.execute(f"DROP VIEW {name}")
