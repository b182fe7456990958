"""How all tests run: a busy machine is no reason to fail."""

from hypothesis import HealthCheck, settings

from tests.builders.databases import (  # noqa: F401 - fixtures for all tests
    empty_postgresql_url,
    empty_url,
    engine,
    postgresql_engine,
    sqlite_engine,
    sqlite_url,
)

settings.register_profile("house", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("house")
