from tests.ledger.databases import engine, postgresql_engine, sqlite_engine, sqlite_url  # noqa: F401 - fixtures
