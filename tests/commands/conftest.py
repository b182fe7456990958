"""The command, run inside the test's process in an empty directory with an environment of its own."""

import io
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from router import cli
from router.providers.catalog import KEY_VARIABLES
from tests.builders.databases import lay_out


@dataclass(frozen=True, slots=True)
class Ran:
    """What a command did."""

    code: int
    out: str
    err: str


Command = Callable[..., Ran]


class Terminal(io.StringIO):
    """What somebody types."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty directory without any configuration around it."""
    for name in list(os.environ):
        if name.startswith("TIERWISE_") or name in KEY_VARIABLES:
            monkeypatch.delenv(name)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def books(here: Path) -> None:
    """Empty books where the command looks for them without a configuration."""
    lay_out("sqlite:///var/tierwise.db")


@pytest.fixture
def tierwise(here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run `tierwise ARGS` as the shell would."""

    def run(*arguments: str, stdin: str | Terminal = "") -> Ran:
        monkeypatch.setattr(sys, "argv", ["tierwise", *arguments])
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin) if isinstance(stdin, str) else stdin)
        capsys.readouterr()
        code: object = 0
        try:
            cli.main()
        except SystemExit as end:
            code = end.code
        out, err = capsys.readouterr()
        return Ran(int(str(code or 0)), out, err)

    return run
