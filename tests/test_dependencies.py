"""What is imported is declared, what is declared is imported, and a wheel holds what serves and nothing else."""

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
SHIPPED, OWN = ("classifier", "router", "migrations"), {"classifier", "router", "migrations", "scripts", "tests"}
# In no import statement, and needed: what for.
UNIMPORTED = {
    "httptools": "uvicorn parses HTTP with it",
    "plotly": "its JavaScript is served",
    "psycopg": "SQLAlchemy loads it by the name in a database's address",
    "setuptools": "builds the project",
    "tzdata": "zoneinfo reads it where the system has none",
    "uvloop": "uvicorn runs on it",
}
TOOLS = {"import-linter", "mypy", "pytest-cov", "pytest-randomly", "pytest-xdist", "ruff", "types-jsonschema"}
# Imported where it is there: recorded outcomes are read by who measures or rebuilds the classifier. Of the packages
# that share the namespace `opentelemetry` the first counts as its owner.
OPTIONAL = {"pyarrow", "opentelemetry-exporter-otlp-proto-http"}


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def declared(requirements: list[str]) -> set[str]:
    return {canonical(re.split(r"[\[=<>~ ;]", requirement)[0]) for requirement in requirements}


@cache
def modules_imported(directory: str) -> set[str]:
    """The top-level modules; environments of real clients have their own."""
    paths = [path for path in (ROOT / directory).rglob("*.py") if "isolated" not in path.parts]
    return {module for path in paths for module in _imports(ast.parse(path.read_text(encoding="utf-8")))}


def _imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


owners_of_modules = cache(packages_distributions)


def distributions_imported(*directories: str) -> set[str]:
    owners, modules = owners_of_modules(), set().union(*map(modules_imported, directories))
    return {canonical(owners[module][0]) for module in modules - OWN - sys.stdlib_module_names}


SERVING = declared(PROJECT["project"]["dependencies"])
TESTING = declared(PROJECT["project"]["optional-dependencies"]["test"])
EXTRAS = declared([name for names in PROJECT["project"]["optional-dependencies"].values() for name in names])


def test_every_package_that_the_product_imports_is_declared() -> None:
    assert distributions_imported(*SHIPPED) - SERVING == OPTIONAL


def test_every_package_that_tests_and_scripts_import_is_declared() -> None:
    assert distributions_imported("scripts", "tests") - SERVING - EXTRAS == set()


def test_every_declared_package_is_imported_or_needed_for_a_reason() -> None:
    assert SERVING - distributions_imported(*SHIPPED) == set(UNIMPORTED)
    assert TESTING - distributions_imported(*OWN) == TOOLS
    assert SERVING.isdisjoint(TESTING)


def test_tests_are_no_library_of_scripts() -> None:
    assert "tests" not in modules_imported("scripts")


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-test.lock"])
def test_a_lock_holds_every_declared_package_with_hashes_and_names_no_index(lock: str) -> None:
    text = (ROOT / lock).read_text(encoding="utf-8")
    entries = re.findall(
        r"^(?P<name>[\w.-]+)(?:\[.*?\])?==[^\\]+(?P<hashes>(?:\\\n +--hash=sha256:\w+ ?)*)$", text, re.MULTILINE
    )
    wanted = SERVING | TESTING if lock == "requirements-test.lock" else SERVING
    assert {canonical(name) for name, _ in entries} >= wanted
    assert all(hashes for _, hashes in entries)
    assert len(entries) == len(re.findall(r"^\w", text, re.MULTILINE))
    assert not re.search("://|index-url", text)


def test_a_wheel_holds_what_serves_and_no_texts_tests_or_scripts(tmp_path: Path) -> None:
    for name in SHIPPED:
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("scripts", "tests"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "module.py").touch()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path)
    build = "from setuptools.build_meta import build_wheel; print(build_wheel('.'))"
    built = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", build], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    names = ZipFile(tmp_path / built.stdout.split()[-1]).namelist()
    assert {name.partition("/")[0] for name in names if ".dist-info/" not in name} == set(SHIPPED)
    assert {"classifier/shipped/numbers.npz", "router/decision/policy.py", "router/conversation/ads.toml"} <= set(names)
    assert {Path(name).suffix for name in names if name.startswith("classifier/training/")} == {".py"}
