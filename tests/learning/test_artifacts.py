"""Adapted classifiers in the database: stored once, refused when damaged, loaded off the request path."""

import hashlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import Engine, update

from classifier import artifact
from classifier.artifact import ArtifactError
from classifier.model import DifficultyModel
from classifier.types import Turn
from router.database.learning_tables import Artifact
from router.learning.artifacts import Artifacts, blob_of, card_of, export, list_all, pack, store, unpack
from router.policies import versions
from tests.api.service import CHAT, Service, serving, settings_of
from tests.builders.databases import open_books
from tests.waiting import soon

SHIPPED = artifact.load()
TURNS = (Turn("user", "How many primes are there below 100?"),)


def an_adapted(version: str = "adapted-1", level: float = -2.0) -> DifficultyModel:
    final = np.array([[1.0, level], [1.0, 0.0]], np.float32)
    return DifficultyModel(
        replace(SHIPPED.parameters, final=final), version=version, abilities=SHIPPED.abilities, is_adapted=True
    )


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = open_books(f"sqlite:///{tmp_path}/books.db")
    yield engine
    engine.dispose()


def put_in_force(engine: Engine, **dials: object) -> None:
    versions.import_dials(engine, {"explore": 0.0, "shadow": 0.0, **dials}, 1)


def test_what_is_stored_comes_back_as_it_was(engine: Engine, tmp_path: Path) -> None:
    model = an_adapted()
    assert store(engine, pack(model, {"recipe": "test"}), "# card", "me", 7) == "adapted-1"
    assert unpack(blob_of(engine, "adapted-1")).estimate(TURNS) == model.estimate(TURNS)
    [found] = list_all(engine)
    assert (found.version, found.created_at_us, found.author, found.state) == ("adapted-1", 7, "me", "stored")
    assert card_of(engine, "adapted-1") == "# card"
    export(engine, "adapted-1", tmp_path / "out")
    assert artifact.load(tmp_path / "out").version == "adapted-1"


def test_the_same_model_is_the_same_bytes() -> None:
    assert pack(an_adapted(), {}) == pack(an_adapted(), {})


def test_a_version_is_stored_once(engine: Engine) -> None:
    store(engine, pack(an_adapted(), {}), "", "me", 1)
    with pytest.raises(ArtifactError, match="already"):
        store(engine, pack(an_adapted(level=0.5), {}), "", "me", 2)


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 nothing", b"\0" * 2_000, b"\0" * 10_000_001])
def test_what_is_no_artefact_is_refused(engine: Engine, damage: bytes) -> None:
    with pytest.raises(ArtifactError):
        store(engine, damage, "", "me", 1)
    assert list_all(engine) == []


def test_a_flipped_byte_is_found(engine: Engine) -> None:
    blob = pack(an_adapted(), {})
    flipped = blob[:5_000] + bytes([blob[5_000] ^ 1]) + blob[5_001:]
    with pytest.raises(ArtifactError):
        store(engine, flipped, "", "me", 1)
    store(engine, blob, "", "me", 1)
    with engine.begin() as connection:
        connection.execute(update(Artifact).values(blob=flipped))
    with pytest.raises(ArtifactError, match="damaged"):
        blob_of(engine, "adapted-1")
    with engine.begin() as connection:
        connection.execute(update(Artifact).values(sha256=hashlib.sha256(flipped).hexdigest()))
    with pytest.raises(ArtifactError):
        unpack(blob_of(engine, "adapted-1"))


def test_the_policy_in_force_has_its_classifier_loaded(engine: Engine) -> None:
    store(engine, pack(an_adapted(), {}), "", "me", 1)
    put_in_force(engine, classifier="adapted-1")
    artifacts = Artifacts(engine, SHIPPED)
    artifacts.follow()
    assert artifacts.model("adapted-1").version == "adapted-1"
    assert artifacts.model(None) is SHIPPED
    assert artifacts.model(SHIPPED.version) is SHIPPED


def test_what_cannot_be_loaded_is_stood_in_for_with_an_alarm(engine: Engine) -> None:
    put_in_force(engine, classifier="nowhere")
    told: list[str] = []
    alarms: list[bool] = []
    artifacts = Artifacts(engine, SHIPPED, tell=told.append, alarm=alarms.append)
    artifacts.follow()
    assert artifacts.model("nowhere") is SHIPPED
    assert (told, alarms, artifacts.missing) == (["nowhere"], [True], ("nowhere",))


def test_one_that_was_missed_is_there_the_next_time(engine: Engine) -> None:
    store(engine, pack(an_adapted(), {}), "", "me", 1)
    artifacts = Artifacts(engine, SHIPPED)
    assert artifacts.model("adapted-1") is SHIPPED
    artifacts.follow()
    assert artifacts.model("adapted-1").version == "adapted-1"


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Service]:
    async with serving(settings_of(tmp_path)) as running:
        yield running


async def test_activating_a_policy_puts_its_classifier_to_work(service: Service) -> None:
    store(service.engine, pack(an_adapted(), {}), "", "me", 1)
    before = (await ask(service))["p_fast"]
    put_in_force(service.engine, classifier="adapted-1")

    async def changed() -> float | None:
        after = (await ask(service))["p_fast"]
        return after if after != before else None

    assert await soon(changed) < before
    found = await service.until(lambda: {row["classifier_version"] for row in service.requests()} >= {"adapted-1"})
    assert found


async def test_a_policy_whose_classifier_is_nowhere_still_answers(service: Service) -> None:
    put_in_force(service.engine, classifier="nowhere")
    await service.until(lambda: _active(service))
    for _ in range(3):
        assert (await ask(service))["p_fast"] > 0


async def ask(service: Service) -> dict[str, float]:
    body = {"model": "auto", "messages": [{"role": "user", "content": TURNS[0].text}]}
    reply = await service.local.post(CHAT, json=body)
    assert reply.status_code == 200, reply.text
    told: dict[str, float] = reply.json()["x_tierwise"]
    return told


def _active(service: Service) -> bool:
    with service.engine.connect() as connection:
        row = versions.newest(connection, state="active")
    return bool(row and row.body.get("classifier") == "nowhere")
