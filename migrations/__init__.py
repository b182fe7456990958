"""The schema history of the books: one for SQLite and PostgreSQL, run by `router.database.schema`."""
