"""Every YAML file is one, and laid out alike."""

from pathlib import Path

import pytest

from tests.deploy.tools import DEPLOY, command, complaints

RULES = "{extends: default, rules: {line-length: {max: 120}, document-start: disable, truthy: {check-keys: false}}}"
FILES = sorted(path for path in DEPLOY.rglob("*.y*ml") if "templates" not in path.parts)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(DEPLOY).as_posix())
def test_a_linter_has_nothing_against_it(path: Path) -> None:
    assert complaints(command("yamllint"), "--strict", "-d", RULES, path) == ""
