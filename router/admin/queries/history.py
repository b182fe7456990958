"""Reads the versions of the policy and what was done with them, for the pages."""

from sqlalchemy import Engine, select

from router.database.tables import PolicyVersion
from router.policies.lifecycle import Version, version_of


def versions(engine: Engine, limit: int) -> list[Version]:
    """The newest versions, newest first."""
    with engine.connect() as connection:
        query = select(PolicyVersion.version).order_by(PolicyVersion.version.desc()).limit(limit)
        numbers = list(connection.scalars(query))
    return [version_of(engine, number) for number in numbers]
