"""The books as they begin.

Safe before deploying the code that needs it: there is nothing yet.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

REQUEST_ID = sa.LargeBinary(16).with_variant(postgresql.UUID(), "postgresql")

TIERS = "WHEN 1 THEN 'fast' WHEN 2 THEN 'reasoning' WHEN 3 THEN 'parallel'"
KINDS = "WHEN 1 THEN 'answer' WHEN 2 THEN 'sample' WHEN 3 THEN 'judge' WHEN 4 THEN 'shadow'"
STATUSES = "WHEN 1 THEN 'ok' WHEN 2 THEN 'error' WHEN 3 THEN 'cancelled' WHEN 4 THEN 'not_sent' WHEN 5 THEN 'unknown'"
PRECISIONS = "WHEN 1 THEN 'exact' WHEN 2 THEN 'estimated' WHEN 3 THEN 'unknown'"
OUTCOMES = "WHEN 1 THEN 'ok' WHEN 2 THEN 'error' WHEN 3 THEN 'cancelled' WHEN 4 THEN 'unknown'"
REASONS = """WHEN 1 THEN 'below_threshold' WHEN 2 THEN 'above_threshold' WHEN 3 THEN 'share_cap'
    WHEN 4 THEN 'budget_spent' WHEN 5 THEN 'override' WHEN 6 THEN 'effort' WHEN 7 THEN 'capability'
    WHEN 8 THEN 'housekeeping' WHEN 9 THEN 'follow_up' WHEN 10 THEN 'pushback' WHEN 11 THEN 'explored'
    WHEN 12 THEN 'fallback'"""

# Encoded columns under readable names, for people and for tools that speak SQL.
REQUEST_LINES = """
CREATE VIEW request_lines AS
SELECT {id} AS request_id, r.opened_at, r.closed_at, r.recorded_at, r.key_id,
    segment.text AS segment, country.text AS country, model.text AS requested_model,
    CASE r.first_tier {tiers} END AS first_tier, CASE r.final_tier {tiers} END AS final_tier,
    CASE r.reason {reasons} END AS reason, CASE r.outcome {outcomes} END AS outcome,
    r.score, r.p_fast, r.p_reasoning, r.propensity, r.policy_version, classifier.text AS classifier_version,
    answer_type.text AS answer_type, language.text AS language, r.turn, r.streamed, r.ads_eligible,
    r.revenue_version, r.expected_revenue_nanousd, r.answer_call_no, r.first_byte_ms, r.total_ms, r.synthetic
FROM requests r
JOIN labels segment ON segment.id = r.segment_id
JOIN labels country ON country.id = r.country_id
JOIN labels model ON model.id = r.requested_model_id
JOIN labels classifier ON classifier.id = r.classifier_id
JOIN labels answer_type ON answer_type.id = r.answer_type_id
LEFT JOIN labels language ON language.id = r.language_id
"""
CALL_LINES = """
CREATE VIEW call_lines AS
SELECT {request_id} AS request_id, c.call_no, CASE c.kind {kinds} END AS kind, CASE c.tier {tiers} END AS tier,
    model.text AS provider_model, CASE c.status {statuses} END AS status,
    c.input_fresh, c.input_cached, c.input_cache_write, c.output_visible, c.output_reasoning,
    c.cost_nanousd, c.price_id, CASE c.precision {precisions} END AS precision, c.started_at, c.recorded_at,
    segment.text AS segment, c.hold_nanousd, c.first_token_ms, c.duration_ms, service.text AS service
FROM calls c
JOIN labels model ON model.id = c.provider_model_id
LEFT JOIN labels service ON service.id = c.service_id
LEFT JOIN requests r ON r.id = c.request_id
LEFT JOIN labels segment ON segment.id = r.segment_id
"""


def upgrade() -> None:
    op.create_table(
        "calls",
        sa.Column("request_id", REQUEST_ID, nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("recorded_at", sa.BigInteger(), nullable=False),
        sa.Column("cost_nanousd", sa.BigInteger(), nullable=True),
        sa.Column("hold_nanousd", sa.BigInteger(), nullable=True),
        sa.Column("price_id", sa.Integer(), nullable=True),
        sa.Column("input_fresh", sa.Integer(), nullable=True),
        sa.Column("input_cached", sa.Integer(), nullable=True),
        sa.Column("input_cache_write", sa.Integer(), nullable=True),
        sa.Column("output_visible", sa.Integer(), nullable=True),
        sa.Column("output_reasoning", sa.Integer(), nullable=True),
        sa.Column("first_token_ms", sa.Integer(), nullable=True),
        sa.Column("duration_ms", sa.Integer(), nullable=True),
        sa.Column("call_no", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.SmallInteger(), nullable=False),
        sa.Column("tier", sa.SmallInteger(), nullable=False),
        sa.Column("status", sa.SmallInteger(), nullable=False),
        sa.Column("precision", sa.SmallInteger(), nullable=False),
        sa.Column("provider_model_id", sa.SmallInteger(), nullable=False),
        sa.Column("service_id", sa.SmallInteger(), nullable=True),
        sa.PrimaryKeyConstraint("request_id", "call_no", name=op.f("pk_calls")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "feedback",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("request_id", REQUEST_ID, nullable=False),
        sa.Column("key_id", sa.Integer(), nullable=True),
        sa.Column("rating", sa.SmallInteger(), nullable=True),
        sa.Column("score", sa.REAL(), nullable=True),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_feedback")),
    )
    op.create_index("ix_feedback_request_id", "feedback", ["request_id"])

    op.create_table(
        "keys",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("prefix", sa.String(length=16), nullable=False),
        sa.Column("segment", sa.Text(), nullable=False),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column("allowed_tiers", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_keys")),
        sa.UniqueConstraint("hash", name=op.f("uq_keys_hash")),
        sa.UniqueConstraint("name", name=op.f("uq_keys_name")),
    )
    op.create_table(
        "labels",
        sa.Column("id", sa.SmallInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_labels")),
        sa.UniqueConstraint("text", name=op.f("uq_labels_text")),
    )
    op.create_table(
        "policy_versions",
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("parent", sa.Integer(), nullable=True),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("version", name=op.f("pk_policy_versions")),
    )
    op.create_table(
        "prices",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("effective_from", sa.BigInteger(), nullable=False),
        sa.Column("effective_to", sa.BigInteger(), nullable=True),
        sa.Column("source", sa.String(length=16), nullable=False),
        sa.Column("provenance", sa.Text(), nullable=False),
        sa.Column("rates", sa.JSON(), nullable=False),
        sa.Column("per_call_nanousd", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_prices")),
        sa.UniqueConstraint("model", "effective_from", name=op.f("uq_prices_model_effective_from")),
    )
    op.create_table(
        "raw_usage",
        sa.Column("request_id", REQUEST_ID, nullable=False),
        sa.Column("call_no", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("request_id", "call_no", name=op.f("pk_raw_usage")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "requests",
        sa.Column("id", REQUEST_ID, nullable=False),
        sa.Column("opened_at", sa.BigInteger(), nullable=False),
        sa.Column("closed_at", sa.BigInteger(), nullable=False),
        sa.Column("recorded_at", sa.BigInteger(), nullable=False),
        sa.Column("expected_revenue_nanousd", sa.BigInteger(), nullable=True),
        sa.Column("score", sa.REAL(), nullable=False),
        sa.Column("p_fast", sa.REAL(), nullable=False),
        sa.Column("p_reasoning", sa.REAL(), nullable=False),
        sa.Column("propensity", sa.REAL(), nullable=False),
        sa.Column("key_id", sa.Integer(), nullable=True),
        sa.Column("policy_version", sa.Integer(), nullable=False),
        sa.Column("revenue_version", sa.Integer(), nullable=True),
        sa.Column("first_byte_ms", sa.Integer(), nullable=True),
        sa.Column("total_ms", sa.Integer(), nullable=True),
        sa.Column("first_tier", sa.SmallInteger(), nullable=False),
        sa.Column("final_tier", sa.SmallInteger(), nullable=False),
        sa.Column("reason", sa.SmallInteger(), nullable=False),
        sa.Column("outcome", sa.SmallInteger(), nullable=False),
        sa.Column("answer_call_no", sa.SmallInteger(), nullable=True),
        sa.Column("turn", sa.SmallInteger(), nullable=False),
        sa.Column("segment_id", sa.SmallInteger(), nullable=False),
        sa.Column("country_id", sa.SmallInteger(), nullable=False),
        sa.Column("requested_model_id", sa.SmallInteger(), nullable=False),
        sa.Column("classifier_id", sa.SmallInteger(), nullable=False),
        sa.Column("answer_type_id", sa.SmallInteger(), nullable=False),
        sa.Column("language_id", sa.SmallInteger(), nullable=True),
        sa.Column("streamed", sa.Boolean(), nullable=False),
        sa.Column("ads_eligible", sa.Boolean(), nullable=False),
        sa.Column("synthetic", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_requests")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "revenue_events",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("request_id", REQUEST_ID, nullable=True),
        sa.Column("segment", sa.Text(), nullable=True),
        sa.Column("country", sa.String(length=2), nullable=True),
        sa.Column("day", sa.String(length=10), nullable=True),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("amount_nanousd", sa.BigInteger(), nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_revenue_events")),
        sa.UniqueConstraint("source", "event_id", name=op.f("uq_revenue_events_source_event_id")),
    )
    op.create_index("ix_revenue_events_day", "revenue_events", ["day"])
    op.create_index("ix_revenue_events_received_at", "revenue_events", ["received_at"])
    op.create_index("ix_revenue_events_request_id", "revenue_events", ["request_id"])

    op.create_table(
        "revenue_versions",
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("version", name=op.f("pk_revenue_versions")),
    )
    op.create_table(
        "runs",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_runs")),
    )
    op.create_table(
        "stored_responses",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("key_id", sa.Integer(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stored_responses")),
    )
    op.create_index("ix_stored_responses_expires_at", "stored_responses", ["expires_at"])

    op.create_table(
        "adjustments",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("request_id", REQUEST_ID, nullable=True),
        sa.Column("call_no", sa.SmallInteger(), nullable=True),
        sa.Column("day", sa.String(length=10), nullable=True),
        sa.Column("provider_model", sa.Text(), nullable=True),
        sa.Column("price_id", sa.Integer(), nullable=True),
        sa.Column("amount_nanousd", sa.BigInteger(), nullable=False),
        sa.Column("effective_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_adjustments_run_id_runs")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_adjustments")),
    )
    op.create_index("ix_adjustments_request_id", "adjustments", ["request_id"])
    op.create_index("ix_adjustments_run_id", "adjustments", ["run_id"])

    create_views(op.get_bind().dialect.name)


def create_views(dialect: str) -> None:
    def hexed(column: str) -> str:
        return f"replace({column}::text, '-', '')" if dialect == "postgresql" else f"lower(hex({column}))"

    lists = {"tiers": TIERS, "kinds": KINDS, "statuses": STATUSES, "precisions": PRECISIONS}
    op.execute(REQUEST_LINES.format(id=hexed("r.id"), tiers=TIERS, reasons=REASONS, outcomes=OUTCOMES))
    op.execute(CALL_LINES.format(request_id=hexed("c.request_id"), **lists))


def downgrade() -> None:
    op.execute("DROP VIEW call_lines")
    op.execute("DROP VIEW request_lines")

    op.drop_table("adjustments")
    op.drop_table("stored_responses")
    op.drop_table("runs")
    op.drop_table("revenue_versions")
    op.drop_table("revenue_events")
    op.drop_table("requests")
    op.drop_table("raw_usage")
    op.drop_table("prices")
    op.drop_table("policy_versions")
    op.drop_table("labels")
    op.drop_table("keys")
    op.drop_table("feedback")
    op.drop_table("calls")
