"""Adapted classifiers as versions in the database, so that every replica has them: numbers and a manifest, no pickle.

A policy names one by its version; a worker loads it off the event loop. Where one cannot be had, the configured one
decides in its place, an alarm says so, and no request fails.
"""

import hashlib
import io
import logging
import tempfile
import time
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, func, insert, select
from sqlalchemy.exc import IntegrityError

from classifier import artifact
from classifier.artifact import ArtifactError
from classifier.model import DifficultyModel
from router.database.engine import writing
from router.database.learning_tables import Artifact
from router.policies.canaries import open_canary
from router.policies.versions import PolicyState, newest

log = logging.getLogger(__name__)

LARGEST_BYTES = 10_000_000
REMEMBERED = 4
TRY_AGAIN_S = 60.0
FILES = (artifact.MANIFEST, artifact.NUMBERS)


@dataclass(frozen=True, slots=True)
class Stored:
    """An artefact in the database, without its numbers."""

    version: str
    created_at_us: int
    state: str
    author: str
    sha256: str
    size_bytes: int


def pack(model: DifficultyModel, about: Mapping[str, Any]) -> bytes:
    """Pack an artefact into one file; the same model and the same `about` give the same bytes."""
    with tempfile.TemporaryDirectory() as directory:
        artifact.save(model, Path(directory), about)
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
            for name in FILES:  # the numbers are compressed already
                archive.writestr(zipfile.ZipInfo(name), (Path(directory) / name).read_bytes())
    return buffer.getvalue()


def unpack(blob: bytes) -> DifficultyModel:
    """Load a packed artefact; raises ArtifactError where it is damaged or foreign."""
    with tempfile.TemporaryDirectory() as directory:
        _extract(blob, Path(directory))
        return artifact.load(Path(directory))


def store(engine: Engine, blob: bytes, card: str, author: str, now_us: int) -> str:
    """Keep a packed artefact under its own version, which is returned; raises ArtifactError."""
    if len(blob) > LARGEST_BYTES:
        raise ArtifactError(f"the artefact has {len(blob):,} bytes, more than {LARGEST_BYTES:,}")
    version = unpack(blob).version
    row = {
        "version": version,
        "created_at": now_us,
        "state": "stored",
        "author": author,
        "sha256": hashlib.sha256(blob).hexdigest(),
        "card": card,
        "blob": blob,
    }
    try:
        with writing(engine) as connection:
            connection.execute(insert(Artifact).values(**row))
    except IntegrityError:
        raise ArtifactError(f"there is an artefact {version} already") from None
    return version


def list_all(engine: Engine) -> list[Stored]:
    """Return every artefact, newest first."""
    columns = (Artifact.version, Artifact.created_at, Artifact.state, Artifact.author, Artifact.sha256)
    query = select(*columns, func.length(Artifact.blob)).order_by(Artifact.created_at.desc(), Artifact.version)
    with engine.connect() as connection:
        return [Stored(*row) for row in connection.execute(query)]


def card_of(engine: Engine, version: str) -> str:
    """Return the model card of an artefact; raises ArtifactError."""
    with engine.connect() as connection:
        card = connection.scalar(select(Artifact.card).where(Artifact.version == version))
    if card is None:
        raise _missing(version)
    return str(card)


def export(engine: Engine, version: str, directory: Path) -> None:
    """Write an artefact's files and its card into a directory; raises ArtifactError."""
    blob = blob_of(engine, version)
    directory.mkdir(parents=True, exist_ok=True)
    _extract(blob, directory)
    (directory / "card.md").write_text(card_of(engine, version), encoding="utf-8")


def blob_of(engine: Engine, version: str) -> bytes:
    """Return the packed artefact, checked against its digest; raises ArtifactError."""
    with engine.connect() as connection:
        row = connection.execute(
            select(Artifact.blob, Artifact.sha256).where(Artifact.version == version)
        ).one_or_none()
    if row is None:
        raise _missing(version)
    if hashlib.sha256(row.blob).hexdigest() != row.sha256:
        raise ArtifactError(f"artefact {version} is damaged: its bytes are not those that were stored")
    return bytes(row.blob)


class Artifacts:
    """The classifiers of one worker: the configured one, and those that policies name.

    `tell` hears when the configured one had to decide in another's place, `alarm` whether one cannot be loaded.
    """

    def __init__(
        self,
        engine: Engine,
        configured: DifficultyModel,
        *,
        tell: Callable[[str], None] = lambda version: None,
        alarm: Callable[[bool], None] = lambda is_missing: None,
    ) -> None:
        self.configured = configured
        self._engine = engine
        self._tell = tell
        self._alarm = alarm
        self._models: dict[str, DifficultyModel] = {}
        self._missed: set[str] = set()
        self._failed: dict[str, float] = {}

    def model(self, version: str | None) -> DifficultyModel:
        """Return the classifier of a version (None: the configured one); never waits."""
        model = self.at_hand(version)
        if model is self.configured and version not in (None, model.version):
            self._missed.add(version)
            self._tell(version)
        return model

    def at_hand(self, version: str | None) -> DifficultyModel:
        """Return the same for who only looks: nothing counts as missed."""
        return self.configured if version is None else self._models.get(version, self.configured)

    @property
    def missing(self) -> Sequence[str]:
        """Versions that are wanted and cannot be loaded."""
        return tuple(self._failed)

    def follow(self) -> None:
        """Load what policies name before it decides, and what was missed; blocks, so call it off the event loop."""
        with self._engine.connect() as connection:
            named = _classifiers_in_use(connection)
        wanted = (named | self._missed) - {self.configured.version}
        self._missed.clear()
        for version in wanted - self._models.keys():
            if self._failed.get(version, 0.0) <= time.monotonic():
                self._load(version)
        for version in set(self._failed) - wanted:
            del self._failed[version]
        self._alarm(bool(self._failed))
        while len(self._models) > REMEMBERED:
            unused = next((version for version in self._models if version not in named), None)
            if unused is None:
                return
            del self._models[unused]

    def _load(self, version: str) -> None:
        try:
            self._models[version] = unpack(blob_of(self._engine, version))
        except ArtifactError as error:
            if version not in self._failed:
                log.error("classifier %s cannot be used, the configured one decides: %s", version, error)
            self._failed[version] = time.monotonic() + TRY_AGAIN_S
        else:
            self._failed.pop(version, None)
            log.info("classifier %s is loaded", version)


def _classifiers_in_use(connection: Connection) -> set[str]:
    """Return the classifiers of the policy in force and of the one on trial."""
    rows = [newest(connection, state=PolicyState.ACTIVE)]
    if canary := open_canary(connection):
        rows.append(newest(connection, version=canary.version))
    return {str(row.body["classifier"]) for row in rows if row is not None and row.body.get("classifier")}


def _extract(blob: bytes, directory: Path) -> None:
    """Write the files of an artefact, and no others; raises ArtifactError."""
    try:
        with zipfile.ZipFile(io.BytesIO(blob)) as archive:
            for name in FILES:
                if archive.getinfo(name).file_size > LARGEST_BYTES:
                    raise ArtifactError(f"{name} is too large")
                (directory / name).write_bytes(archive.read(name))
    except (zipfile.BadZipFile, KeyError, ValueError, NotImplementedError) as error:
        raise ArtifactError(f"not a packed artefact: {error}") from None


def _missing(version: str) -> ArtifactError:
    return ArtifactError(f"there is no artefact {version!r}; `tierwise artifacts list` shows those there are")
