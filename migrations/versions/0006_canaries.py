"""Canaries, and what a request says of the answer before it.

Safe before deploying the code that needs it: what is added is empty.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

REQUEST_ID = sa.LargeBinary(16).with_variant(postgresql.UUID(), "postgresql")

TIERS = "WHEN 1 THEN 'fast' WHEN 2 THEN 'reasoning' WHEN 3 THEN 'parallel'"
OUTCOMES = "WHEN 1 THEN 'ok' WHEN 2 THEN 'error' WHEN 3 THEN 'cancelled' WHEN 4 THEN 'unknown'"
SIGNALS = "WHEN 1 THEN 'regenerate' WHEN 2 THEN 'pushback' WHEN 3 THEN 'deeper'"
REASONS = """WHEN 1 THEN 'below_threshold' WHEN 2 THEN 'above_threshold' WHEN 3 THEN 'share_cap'
    WHEN 4 THEN 'budget_spent' WHEN 5 THEN 'override' WHEN 6 THEN 'effort' WHEN 7 THEN 'capability'
    WHEN 8 THEN 'housekeeping' WHEN 9 THEN 'follow_up' WHEN 10 THEN 'pushback' WHEN 11 THEN 'explored'
    WHEN 12 THEN 'fallback'"""
REQUEST_LINES = """
CREATE VIEW request_lines AS
SELECT {id} AS request_id, r.opened_at, r.closed_at, r.recorded_at, r.key_id,
    segment.text AS segment, country.text AS country, model.text AS requested_model,
    CASE r.first_tier {tiers} END AS first_tier, CASE r.final_tier {tiers} END AS final_tier,
    CASE r.reason {reasons} END AS reason, CASE r.outcome {outcomes} END AS outcome,
    r.score, r.p_fast, r.p_reasoning, r.propensity, r.policy_version, classifier.text AS classifier_version,
    answer_type.text AS answer_type, language.text AS language, r.turn, r.streamed, r.ads_eligible,
    r.revenue_version, r.expected_revenue_nanousd, r.answer_call_no, r.first_byte_ms, r.total_ms, r.synthetic{more}
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
        + COALESCE((SELECT SUM(a.amount_nanousd) FROM adjustments a WHERE a.request_id = r.id), 0) AS cost_nanousd{more}
FROM requests r
JOIN labels segment ON segment.id = r.segment_id
JOIN labels country ON country.id = r.country_id
JOIN labels model ON model.id = r.requested_model_id
JOIN labels answer_type ON answer_type.id = r.answer_type_id
LEFT JOIN labels language ON language.id = r.language_id
"""
MORE = """, r.shadow_version,
    CASE r.shadow_tier {tiers} END AS shadow_tier, CASE r.signal {signals} END AS signal, {previous} AS previous_id"""


def upgrade() -> None:
    drop_views()
    op.add_column("requests", sa.Column("shadow_version", sa.Integer(), nullable=True))
    op.add_column("requests", sa.Column("shadow_tier", sa.SmallInteger(), nullable=True))
    op.add_column("requests", sa.Column("signal", sa.SmallInteger(), nullable=True))
    op.add_column("requests", sa.Column("previous_id", REQUEST_ID, nullable=True))
    create_views(MORE.format(tiers=TIERS, signals=SIGNALS, previous=hexed("r.previous_id")))
    make_canaries()


def downgrade() -> None:
    drop_canaries()
    drop_views()
    for name in ("previous_id", "signal", "shadow_tier", "shadow_version"):
        op.drop_column("requests", name)
    create_views("")


def create_views(more: str) -> None:
    lists = {"tiers": TIERS, "reasons": REASONS, "outcomes": OUTCOMES, "more": more}
    for view in (REQUEST_LINES, V_REQUESTS):
        op.execute(view.format(id=hexed("r.id"), **lists))


def drop_views() -> None:
    op.execute("DROP VIEW request_lines")
    op.execute("DROP VIEW v_requests")


def hexed(column: str) -> str:
    is_postgresql = op.get_bind().dialect.name == "postgresql"
    return f"replace({column}::text, '-', '')" if is_postgresql else f"lower(hex({column}))"


def make_canaries() -> None:
    op.create_table(
        "canaries",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("control", sa.Integer(), nullable=False),
        sa.Column("mode", sa.String(length=16), nullable=False),
        sa.Column("share", sa.Double(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("on_success", sa.String(length=16), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=True),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["version"], ["policy_versions.version"], name="fk_canaries_version_policy_versions"),
        sa.ForeignKeyConstraint(["control"], ["policy_versions.version"], name="fk_canaries_control_policy_versions"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_canaries")),
    )
    op.create_index(op.f("ix_canaries_state"), "canaries", ["state"])
    op.add_column("policy_versions", sa.Column("validated_at", sa.BigInteger(), nullable=True))
    op.add_column("policy_versions", sa.Column("wiring", sa.String(length=32), nullable=True))
    widen_acts(16, 32)


def drop_canaries() -> None:
    op.drop_table("canaries")
    op.drop_column("policy_versions", "wiring")
    op.drop_column("policy_versions", "validated_at")
    op.execute("DELETE FROM policy_events WHERE act LIKE 'canary%' OR act LIKE 'shadow%' OR act = 'validated'")
    widen_acts(32, 16)


def widen_acts(old: int, new: int) -> None:
    with op.batch_alter_table("policy_events") as batch:
        batch.alter_column(
            "act", existing_type=sa.String(length=old), type_=sa.String(length=new), existing_nullable=False
        )
