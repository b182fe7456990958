from tests.ledger.databases import (  # noqa: F401 - fixtures
    empty_postgresql_url,
    empty_url,
    engine,
    postgresql_engine,
    sqlite_engine,
    sqlite_url,
)
