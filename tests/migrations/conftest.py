from tests.ledger.databases import empty_postgresql_url, empty_url, sqlite_url  # noqa: F401 - fixtures
