"""What requests were expected to cost before they were sent, and how that compared with what is usual; one more reason.

Safe before deploying the code that needs it: what is added is empty, and of requests of before nothing was forecast.
"""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

TIERS = "WHEN 1 THEN 'fast' WHEN 2 THEN 'reasoning' WHEN 3 THEN 'parallel'"
OUTCOMES = "WHEN 1 THEN 'ok' WHEN 2 THEN 'error' WHEN 3 THEN 'cancelled' WHEN 4 THEN 'unknown'"
SIGNALS = "WHEN 1 THEN 'regenerate' WHEN 2 THEN 'pushback' WHEN 3 THEN 'deeper'"
REASONS = """WHEN 1 THEN 'below_threshold' WHEN 2 THEN 'above_threshold' WHEN 3 THEN 'share_cap'
    WHEN 4 THEN 'budget_spent' WHEN 5 THEN 'override' WHEN 6 THEN 'effort' WHEN 7 THEN 'capability'
    WHEN 8 THEN 'housekeeping' WHEN 9 THEN 'follow_up' WHEN 10 THEN 'pushback' WHEN 11 THEN 'explored'
    WHEN 12 THEN 'fallback' WHEN 13 THEN 'user_allowance'{more_reasons}"""
MORE_REASONS = " WHEN 14 THEN 'too_costly'"
MORE_COLUMNS = ", r.expected_cost_nanousd, r.cost_ratio"
# Marks are in no view: they are for joining and counting, and tools that speak SQL are for many eyes.
REQUEST_LINES = """
CREATE VIEW request_lines AS
SELECT {id} AS request_id, r.opened_at, r.closed_at, r.recorded_at, r.key_id,
    segment.text AS segment, country.text AS country, model.text AS requested_model,
    CASE r.first_tier {tiers} END AS first_tier, CASE r.final_tier {tiers} END AS final_tier,
    CASE r.reason {reasons} END AS reason, CASE r.outcome {outcomes} END AS outcome,
    r.score, r.p_fast, r.p_reasoning, r.propensity, r.policy_version, classifier.text AS classifier_version,
    answer_type.text AS answer_type, language.text AS language, r.turn, r.streamed, r.ads_eligible,
    r.revenue_version, r.expected_revenue_nanousd, r.answer_call_no, r.first_byte_ms, r.total_ms, r.synthetic,
    r.shadow_version, CASE r.shadow_tier {tiers} END AS shadow_tier, CASE r.signal {signals} END AS signal,
    {previous} AS previous_id{more_columns}
FROM requests r
JOIN labels segment ON segment.id = r.segment_id
JOIN labels country ON country.id = r.country_id
JOIN labels model ON model.id = r.requested_model_id
JOIN labels classifier ON classifier.id = r.classifier_id
JOIN labels answer_type ON answer_type.id = r.answer_type_id
LEFT JOIN labels language ON language.id = r.language_id
"""
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
        + COALESCE((SELECT SUM(a.amount_nanousd) FROM adjustments a WHERE a.request_id = r.id), 0) AS cost_nanousd,
    r.shadow_version, CASE r.shadow_tier {tiers} END AS shadow_tier, CASE r.signal {signals} END AS signal,
    {previous} AS previous_id{more_columns}
FROM requests r
JOIN labels segment ON segment.id = r.segment_id
JOIN labels country ON country.id = r.country_id
JOIN labels model ON model.id = r.requested_model_id
JOIN labels answer_type ON answer_type.id = r.answer_type_id
LEFT JOIN labels language ON language.id = r.language_id
"""


def upgrade() -> None:
    drop_views()
    op.add_column("requests", sa.Column("expected_cost_nanousd", sa.BigInteger(), nullable=True))
    op.add_column("requests", sa.Column("cost_factor", sa.REAL(), nullable=True))
    op.add_column("requests", sa.Column("cost_ratio", sa.REAL(), nullable=True))
    create_views(MORE_REASONS, MORE_COLUMNS)


def downgrade() -> None:
    drop_views()
    for name in ("cost_ratio", "cost_factor", "expected_cost_nanousd"):
        op.drop_column("requests", name)
    create_views("", "")


def drop_views() -> None:
    op.execute("DROP VIEW request_lines")
    op.execute("DROP VIEW v_requests")


def create_views(more_reasons: str, more_columns: str) -> None:
    is_postgresql = op.get_bind().dialect.name == "postgresql"

    def hexed(column: str) -> str:
        return f"replace({column}::text, '-', '')" if is_postgresql else f"lower(hex({column}))"

    lists = {"tiers": TIERS, "reasons": REASONS.format(more_reasons=more_reasons), "outcomes": OUTCOMES}
    shared = {"signals": SIGNALS, "more_columns": more_columns, **lists}
    for view in (REQUEST_LINES, V_REQUESTS):
        op.execute(view.format(id=hexed("r.id"), previous=hexed("r.previous_id"), **shared))
