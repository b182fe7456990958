"""Linters and servers that come as packages; where one is not installed, its tests say so."""

import importlib
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

DEPLOY = Path(__file__).parents[2] / "deploy"


def command(name: str) -> str:
    """The path of a command beside this Python, or else anywhere; skips the test where there is none."""
    found = shutil.which(str(Path(sys.executable).with_name(name))) or shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed: scripts/venv test")
    return found


def module(name: str) -> ModuleType:
    """A module; skips the test where it is not installed."""
    pytest.importorskip(name, reason=f"{name} is not installed: scripts/venv test")
    return importlib.import_module(name)


def complaints(*arguments: str | Path, **options: Any) -> str:
    """What a linter says against something; empty where it is content. It sees no settings of ours."""
    ended = subprocess.run(list(map(str, arguments)), capture_output=True, text=True, timeout=60, **options)
    return "" if ended.returncode == 0 else ended.stdout + ended.stderr or f"exit code {ended.returncode}"


def read_yaml(path: str) -> Any:
    """A YAML file below `deploy/`."""
    return yaml.safe_load((DEPLOY / path).read_text(encoding="utf-8"))
