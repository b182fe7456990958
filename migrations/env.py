"""Runs the migrations on the connection that `router.database.schema` hands over; there is no alembic.ini."""

from alembic import context

from router.database import schema

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=schema.metadata(),
    compare_type=True,
    render_as_batch=connection.dialect.name == "sqlite",
)
with context.begin_transaction():
    context.run_migrations()
