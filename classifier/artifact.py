"""Artefacts on disk: a manifest in JSON and the numbers in .npz, versioned and checksummed; never a pickle."""

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np

from classifier.characters import BITS
from classifier.consumer import COLUMNS, HINTS, WORD_BITS, ConsumerParameters
from classifier.model import DifficultyModel, Parameters

FORMAT = "tierwise-difficulty"
FORMAT_VERSION = 6
MANIFEST, NUMBERS = "manifest.json", "numbers.npz"
SHIPPED = Path(__file__).parent / "shipped"
_HALF = ("gram_weights", "seen", "consumer.words", "consumer.hints", "consumer.characters", "consumer.whole")
_SCALARS = ("familiar_coverage",)
_CONSUMER = "consumer."
CONSUMER_SHAPES = {
    "words": (1 << WORD_BITS, COLUMNS),
    "hints": (HINTS, COLUMNS),
    "characters": (1 << BITS,),
    "whole": (1 << WORD_BITS,),
}


class ArtifactError(Exception):
    """The directory holds no usable artefact; the message says what is wrong with it."""


def save(model: DifficultyModel, directory: Path, about: Mapping[str, Any]) -> None:
    """Write the artefact; the same model and the same `about` give the same bytes."""
    directory.mkdir(parents=True, exist_ok=True)
    arrays = arrays_of(model.parameters)
    for name in _HALF:
        if name in arrays:
            arrays[name] = arrays[name].astype(np.float16)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    numbers = buffer.getvalue()
    (directory / NUMBERS).write_bytes(numbers)
    manifest = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "version": model.version,
        "is_adapted": model.is_adapted,
        "numbers_sha256": hashlib.sha256(numbers).hexdigest(),
        "abilities": {name: round(ability, 4) for name, ability in sorted(model.abilities.items())},
        **about,
    }
    (directory / MANIFEST).write_text(json.dumps(manifest, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def arrays_of(parameters: Parameters) -> dict[str, Any]:
    """All numbers by name, those of the consumer head with a prefix."""
    arrays: dict[str, Any] = {}
    for name, value in asdict(parameters).items():
        if isinstance(value, dict):
            arrays |= {f"{name}.{inner}": np.asarray(each) for inner, each in value.items()}
        elif value is not None:
            arrays[name] = np.asarray(value)
    return arrays


def load(directory: Path | None = None) -> DifficultyModel:
    """Load an artefact, the shipped one by default; raise ArtifactError where it is missing, foreign or damaged."""
    directory = SHIPPED if directory is None else directory
    manifest = about(directory)
    try:
        numbers = (directory / NUMBERS).read_bytes()
    except OSError as error:
        raise ArtifactError(f"{directory}: cannot read {NUMBERS}: {error.strerror}") from error
    if hashlib.sha256(numbers).hexdigest() != manifest["numbers_sha256"]:
        raise ArtifactError(f"{directory}: {NUMBERS} is damaged or was changed: its checksum is not the manifest's")
    return DifficultyModel(
        _parameters(directory, numbers),
        version=str(manifest["version"]),
        abilities={str(name): float(ability) for name, ability in manifest["abilities"].items()},
        is_adapted=bool(manifest["is_adapted"]),
    )


def about(directory: Path) -> dict[str, Any]:
    """The manifest, checked for being ours and of a version that this code reads."""
    try:
        manifest = json.loads((directory / MANIFEST).read_text(encoding="utf-8"))
    except OSError as error:
        raise ArtifactError(f"{directory}: cannot read {MANIFEST}: {error.strerror}") from error
    except ValueError as error:
        raise ArtifactError(f"{directory}: {MANIFEST} is not JSON") from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise ArtifactError(f"{directory}: not an artefact of this project (no format {FORMAT!r} in {MANIFEST})")
    if manifest.get("format_version") != FORMAT_VERSION:
        version = manifest.get("format_version")
        raise ArtifactError(f"{directory}: format version {version!r}, this code reads {FORMAT_VERSION}")
    needed = {"version": str, "is_adapted": bool, "numbers_sha256": str, "abilities": dict}
    if wrong := [name for name, kind in needed.items() if not isinstance(manifest.get(name), kind)]:
        raise ArtifactError(f"{directory}: {MANIFEST} lacks {', '.join(wrong)}")
    return manifest


def _parameters(directory: Path, numbers: bytes) -> Parameters:
    try:
        with np.load(io.BytesIO(numbers), allow_pickle=False) as stored:
            arrays: dict[str, Any] = {name: stored[name] for name in stored.files}
        consumer = {name.removeprefix(_CONSUMER): arrays.pop(name) for name in list(arrays) if _CONSUMER in name}
        arrays = {field.name: arrays[field.name] for field in fields(Parameters) if field.name != "consumer"}
    except (KeyError, ValueError, OSError, zipfile.BadZipFile) as error:
        raise ArtifactError(f"{directory}: {NUMBERS} does not hold a model: {error}") from error
    for name in _SCALARS:
        arrays[name] = float(arrays[name])
    rows, columns = len(arrays["keys"]), len(arrays["bias"])
    if arrays["gram_weights"].shape != (rows + 1, columns) or arrays["idf"].shape != (rows,):
        raise ArtifactError(f"{directory}: {NUMBERS} does not hold a model: its tables do not fit together")
    return Parameters(**arrays, consumer=_consumer(directory, consumer) if consumer else None)


def _consumer(directory: Path, arrays: Mapping[str, Any]) -> ConsumerParameters:
    try:
        found = {field.name: arrays[field.name] for field in fields(ConsumerParameters)}
    except KeyError as error:
        raise ArtifactError(f"{directory}: {NUMBERS} does not hold a model: {error} is missing") from error
    if any(found[name].shape != shape for name, shape in CONSUMER_SHAPES.items()):
        raise ArtifactError(f"{directory}: {NUMBERS} does not hold a model: its tables do not fit together")
    spread = float(found.pop("spread"))
    return ConsumerParameters(**{name: each.astype(np.float32) for name, each in found.items()}, spread=spread)
