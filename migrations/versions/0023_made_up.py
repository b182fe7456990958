"""Rollups tell made-up traffic from real, and so do revenue events and the views of calls and costs.

Deploy together with the code that uses it: workers of before would roll up without the mark. What made-up requests
touch is marked to be rolled up again; reports read the lines of what is marked, so they are exact at once.
"""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

MADE_UP_SOURCE = "synthetic"  # whose events the seeding of demonstrations has always booked
QUARTERS_A_DAY, GRANULE_MS, DAY_MS = 96, 65_536, 86_400_000
FACTS = (
    "requests",
    "deep",
    "expected_nanousd",
    "expected_known",
    "booked_nanousd",
    "booked_requests",
    "replaced_nanousd",
    "aborted",
    "incomplete",
    "calls",
    "priced",
    "cost_nanousd",
    "estimated",
    "unknown",
    "input_fresh",
    "input_cached",
    "input_cache_write",
    "output_visible",
    "output_reasoning",
    "largest_nanousd",
)
KEYS = {
    "rollups": ("grouping_id", "grain", "start", "key1", "key2"),
    "rollup_costs": ("grain", "start", "tier", "bucket"),
}
COLUMNS = {"rollups": FACTS, "rollup_costs": ("requests",)}
SMALL = ("grouping_id", "grain", "tier", "bucket", "made_up")
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
    segment.text AS segment, c.hold_nanousd, c.first_token_ms, c.duration_ms, service.text AS service,
    CASE c.cause {causes} END AS cause, c.http_status{synthetic}
FROM calls c
JOIN labels model ON model.id = c.provider_model_id
LEFT JOIN labels service ON service.id = c.service_id
LEFT JOIN requests r ON r.id = c.request_id
LEFT JOIN labels segment ON segment.id = r.segment_id
"""
V_CALLS = "CREATE VIEW v_calls AS SELECT * FROM call_lines"
V_COSTS = """
CREATE VIEW v_costs_{name} AS
SELECT CAST(r.start AS BIGINT) * 900000000 AS starts_at, CASE r.key1 {tiers} END AS tier, r.requests, r.calls, r.priced,
    r.estimated, r.unknown, r.cost_nanousd, r.expected_nanousd AS expected_revenue_nanousd,
    r.booked_nanousd AS booked_revenue_nanousd, r.input_fresh, r.input_cached, r.input_cache_write, r.output_visible,
    r.output_reasoning{synthetic}
FROM rollups r WHERE r.grouping_id = 1 AND r.grain = {grain}
"""
VIEWS = ("v_calls", "call_lines", "v_costs_daily", "v_costs_hourly")


def upgrade() -> None:
    drop_views()
    op.add_column("revenue_events", sa.Column("synthetic", sa.Boolean(), server_default=sa.false(), nullable=False))
    events = sa.table("revenue_events", sa.column("synthetic", sa.Boolean), sa.column("source", sa.Text))
    op.execute(events.update().where(events.c.source == MADE_UP_SOURCE).values(synthetic=True))
    for table in KEYS:
        if op.get_bind().dialect.name == "sqlite":
            remake_on_sqlite(table, (*KEYS[table], "made_up"), ", 0")
        else:
            op.add_column(table, sa.Column("made_up", sa.SmallInteger(), server_default="0", nullable=False))
            op.alter_column(table, "made_up", server_default=None)
            give_key_on_postgresql(table, (*KEYS[table], "made_up"))
    roll_up_again()
    create_views(", COALESCE(r.synthetic, FALSE) AS synthetic", ", r.made_up = 1 AS synthetic")


def downgrade() -> None:
    drop_views()
    op.execute("INSERT INTO rollup_marks (quarter) SELECT start FROM rollups WHERE grouping_id = 0 AND grain = 0")
    for table in KEYS:
        op.execute(f"DELETE FROM {table} WHERE made_up <> 0")  # noqa: S608 - names of our own
        if op.get_bind().dialect.name == "sqlite":
            remake_on_sqlite(table, KEYS[table], "")
        else:
            give_key_on_postgresql(table, KEYS[table])
            op.drop_column(table, "made_up")
    op.drop_column("revenue_events", "synthetic")
    create_views("", "")


def remake_on_sqlite(table: str, keys: tuple[str, ...], made_up: str) -> None:
    """Make a table anew with another key: SQLite changes none."""
    columns = [sa.Column(key, sa.SmallInteger() if key in SMALL else sa.Integer(), nullable=False) for key in keys]
    columns += [sa.Column(name, sa.BigInteger(), nullable=False) for name in COLUMNS[table]]
    key = sa.PrimaryKeyConstraint(*keys, name=op.f(f"pk_{table}"))
    op.create_table(f"{table}_new", *columns, key, sqlite_with_rowid=False)
    common = ", ".join((*KEYS[table], *COLUMNS[table]))
    named = f"{common}, made_up" if made_up else common
    op.execute(f"INSERT INTO {table}_new ({named}) SELECT {common}{made_up} FROM {table}")  # noqa: S608 - our own names
    op.drop_table(table)
    op.rename_table(f"{table}_new", table)


def give_key_on_postgresql(table: str, keys: tuple[str, ...]) -> None:
    op.drop_constraint(f"pk_{table}", table)
    op.create_primary_key(op.f(f"pk_{table}"), table, list(keys))


def roll_up_again() -> None:
    """Mark what made-up requests touch; their days go at once, for days tell whether there is anything real."""
    connection = op.get_bind()
    hexed = "substr(hex(id), 1, 8)" if connection.dialect.name == "sqlite" else "upper(substr(id::text, 1, 8))"
    granules = connection.scalars(sa.text(f"SELECT DISTINCT {hexed} FROM requests WHERE synthetic")).all()  # noqa: S608
    if not granules:
        return
    connection.execute(
        sa.text("INSERT INTO rollup_marks (granule) VALUES (:granule)"), [{"granule": name} for name in granules]
    )
    starts = [int(name, 16) * GRANULE_MS for name in granules]
    days = {at // DAY_MS for start in starts for at in (start, start + GRANULE_MS - 1)}
    for table in KEYS:
        gone = sa.text(f"DELETE FROM {table} WHERE grain = 2 AND start = :start")  # noqa: S608 - names of our own
        connection.execute(gone, [{"start": day * QUARTERS_A_DAY} for day in days])


def drop_views() -> None:
    for view in VIEWS:
        op.execute(f"DROP VIEW {view}")


def create_views(of_calls: str, of_costs: str) -> None:
    is_postgresql = op.get_bind().dialect.name == "postgresql"
    request_id = "replace(c.request_id::text, '-', '')" if is_postgresql else "lower(hex(c.request_id))"
    lists = {"tiers": TIERS, "kinds": KINDS, "statuses": STATUSES, "precisions": PRECISIONS, "causes": CAUSES}
    op.execute(CALL_LINES.format(request_id=request_id, synthetic=of_calls, **lists))
    op.execute(V_CALLS)
    for name, grain in (("daily", 2), ("hourly", 1)):
        op.execute(V_COSTS.format(name=name, tiers=TIERS, grain=grain, synthetic=of_costs))
