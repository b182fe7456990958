"""Keys of before that may not use every tier name no model of its own name any more."""

import json

from sqlalchemy import Engine, text

from router.database import schema
from router.database.engine import open_engine
from router.types import Tier

A_KEY = """INSERT INTO keys (id, name, hash, prefix, segment, scopes, allowed_tiers, created_at)
VALUES (:id, :name, :hash, 'tw-', 'default', '[]', :tiers, 1)"""


def test_only_keys_for_every_tier_keep_naming_every_model(empty_url: str) -> None:
    engine: Engine = open_engine(empty_url)
    schema.migrate(engine, "0016")
    with engine.begin() as connection:
        for id, tiers in enumerate((list(Tier), [Tier.FAST]), 1):
            connection.execute(text(A_KEY), {"id": id, "name": f"k{id}", "hash": f"{id}", "tiers": json.dumps(tiers)})
    schema.migrate(engine)
    with engine.connect() as connection:
        found = connection.execute(text("SELECT allowed_models FROM keys ORDER BY id")).scalars().all()
    engine.dispose()
    assert [json.loads(one) if isinstance(one, str) else one for one in found] == [None, []]
