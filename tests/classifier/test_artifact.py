import json
import shutil
from pathlib import Path

import pytest

from classifier import artifact
from classifier.artifact import ArtifactError
from tests.classifier.builders import MATHS, a_conversation


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return Path(shutil.copytree(artifact.SHIPPED, tmp_path / "artefact"))


def _change(directory: Path, **values: object) -> None:
    path = directory / artifact.MANIFEST
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def test_saving_and_loading_changes_no_estimate(tmp_path: Path) -> None:
    model = artifact.load()
    artifact.save(model, tmp_path, {})
    assert artifact.load(tmp_path).estimate(a_conversation(MATHS)) == model.estimate(a_conversation(MATHS))


def test_the_same_model_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        artifact.save(artifact.load(), tmp_path / name, {})
    assert (tmp_path / "one/numbers.npz").read_bytes() == (tmp_path / "two/numbers.npz").read_bytes()


def test_a_flipped_byte_is_refused(copy: Path) -> None:
    numbers = bytearray((copy / artifact.NUMBERS).read_bytes())
    numbers[len(numbers) // 2] ^= 1
    (copy / artifact.NUMBERS).write_bytes(numbers)
    with pytest.raises(ArtifactError, match="checksum"):
        artifact.load(copy)


def test_another_projects_files_are_refused(copy: Path) -> None:
    _change(copy, format="something-else")
    with pytest.raises(ArtifactError, match="not an artefact of this project"):
        artifact.load(copy)


def test_a_newer_format_is_refused(copy: Path) -> None:
    _change(copy, format_version=99)
    with pytest.raises(ArtifactError, match="99"):
        artifact.load(copy)


def test_an_empty_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="cannot read"):
        artifact.load(tmp_path)


def test_a_manifest_that_is_no_json_is_refused(copy: Path) -> None:
    (copy / artifact.MANIFEST).write_text("{")
    with pytest.raises(ArtifactError, match="not JSON"):
        artifact.load(copy)


def test_the_shipped_artefact_is_small_and_names_its_training_data() -> None:
    assert sum(path.stat().st_size for path in artifact.SHIPPED.iterdir()) < 10_000_000
    assert len(artifact.about(artifact.SHIPPED)["training_data_sha256"]) == 64


def test_the_page_of_figures_speaks_of_the_shipped_artefact() -> None:
    page = Path(__file__).parents[2] / "docs" / "measured" / "routing-quality.md"
    assert artifact.load().version in page.read_text(encoding="utf-8")
