"""Why a call failed, and the HTTP status that its provider answered with, beside the call.

Safe before deploying the code that needs it: what is added is empty, and calls of before have no cause.
"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

TIERS = "WHEN 1 THEN 'fast' WHEN 2 THEN 'reasoning' WHEN 3 THEN 'parallel'"
KINDS = "WHEN 1 THEN 'answer' WHEN 2 THEN 'sample' WHEN 3 THEN 'judge' WHEN 4 THEN 'shadow'"
STATUSES = "WHEN 1 THEN 'ok' WHEN 2 THEN 'error' WHEN 3 THEN 'cancelled' WHEN 4 THEN 'not_sent' WHEN 5 THEN 'unknown'"
PRECISIONS = "WHEN 1 THEN 'exact' WHEN 2 THEN 'estimated' WHEN 3 THEN 'unknown'"
CAUSES = """WHEN 1 THEN 'credentials' WHEN 2 THEN 'no_credit' WHEN 3 THEN 'rate_limited' WHEN 4 THEN 'overloaded'
    WHEN 5 THEN 'bad_request' WHEN 6 THEN 'not_found' WHEN 7 THEN 'content_filter' WHEN 8 THEN 'context_too_long'
    WHEN 9 THEN 'unreachable' WHEN 10 THEN 'timeout_connect' WHEN 11 THEN 'timeout_first_byte'
    WHEN 12 THEN 'timeout_idle' WHEN 13 THEN 'timeout_total' WHEN 14 THEN 'broken_off' WHEN 15 THEN 'nonsense'
    WHEN 16 THEN 'breaker_open' WHEN 17 THEN 'unknown'"""
CALL_LINES = """
CREATE VIEW call_lines AS
SELECT {request_id} AS request_id, c.call_no, CASE c.kind {kinds} END AS kind, CASE c.tier {tiers} END AS tier,
    model.text AS provider_model, CASE c.status {statuses} END AS status,
    c.input_fresh, c.input_cached, c.input_cache_write, c.output_visible, c.output_reasoning,
    c.cost_nanousd, c.price_id, CASE c.precision {precisions} END AS precision, c.started_at, c.recorded_at,
    segment.text AS segment, c.hold_nanousd, c.first_token_ms, c.duration_ms, service.text AS service{more}
FROM calls c
JOIN labels model ON model.id = c.provider_model_id
LEFT JOIN labels service ON service.id = c.service_id
LEFT JOIN requests r ON r.id = c.request_id
LEFT JOIN labels segment ON segment.id = r.segment_id
"""
MORE = ", CASE c.cause {causes} END AS cause, c.http_status"
V_CALLS = "CREATE VIEW v_calls AS SELECT * FROM call_lines"


def upgrade() -> None:
    drop_views()
    op.add_column("calls", sa.Column("cause", sa.SmallInteger(), nullable=True))
    op.add_column("calls", sa.Column("http_status", sa.SmallInteger(), nullable=True))
    create_views(MORE.format(causes=CAUSES))


def downgrade() -> None:
    drop_views()
    op.drop_column("calls", "http_status")
    op.drop_column("calls", "cause")
    create_views("")


def drop_views() -> None:
    op.execute("DROP VIEW v_calls")
    op.execute("DROP VIEW call_lines")


def create_views(more: str) -> None:
    is_postgresql = op.get_bind().dialect.name == "postgresql"
    request_id = "replace(c.request_id::text, '-', '')" if is_postgresql else "lower(hex(c.request_id))"
    lists = {"tiers": TIERS, "kinds": KINDS, "statuses": STATUSES, "precisions": PRECISIONS}
    op.execute(CALL_LINES.format(request_id=request_id, more=more, **lists))
    op.execute(V_CALLS)
