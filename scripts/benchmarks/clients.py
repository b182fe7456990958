"""Run the suites of real clients, each in an environment of its own, against one fresh instance."""

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from scripts.benchmarks.client_results import Run, compatibility, read_junit, read_tap
from scripts.benchmarks.pages import DOCS, ROOT
from scripts.benchmarks.provider_results import section_of, with_section
from scripts.benchmarks.strict_claude import KEY as CLAUDE_KEY
from scripts.benchmarks.strict_claude import strict_claude
from scripts.showcase.serving import CONFIG, Instance, serve

SUITES: dict[str, dict[str, list[str]]] = tomllib.loads(
    Path(__file__).with_name("client_suites.toml").read_text("utf-8")
)
PAGE = DOCS / "compatibility.md"
ISOLATED = ROOT / "tests" / "e2e" / "clients" / "isolated"
PYTEST = ("pytest", "pytest-asyncio")
SUITE_TIMEOUT_S = 900
# What only these suites need: names of other services for models, and models behind Anthropic's own dialect.
ALIASES = """
[aliases]
"claude-sonnet-4-5" = "auto"
"claude-haiku-*" = "fast"
"""
CLAUDE = """
[models.{name}]
model = "anthropic/{model}"
api_base = "{url}"
api_key = "{key}"
"""
CLAUDES = {"claude": "claude-sonnet-4-5", "claude-adaptive": "claude-sonnet-4-6"}
console = Console()


def main() -> None:
    """Make the environments, serve, run, report; exits 1 unless every suite is green."""
    arguments = _arguments()
    names = arguments.clients or list(SUITES)
    cache = arguments.environments
    for name in names:
        with console.status(f"environment of {name}"):
            _prepare(cache / name.replace(" ", "-"), SUITES[name], upgrade=arguments.upgrade)
    with tempfile.TemporaryDirectory(prefix="tierwise-clients-") as directory, strict_claude() as claude:
        os.environ["TIERWISE_TEST_CLAUDE_URL"] = claude.url
        with serve(Path(directory), _config(claude.url)) as instance:
            runs = [_run(name, cache / name.replace(" ", "-"), Path(directory), instance) for name in names]
    _show(runs)
    if not arguments.clients:
        families = section_of(PAGE.read_text("utf-8")) if PAGE.exists() else ""
        PAGE.write_text(with_section(compatibility(runs), families), encoding="utf-8")
        console.print(f"written: {PAGE.relative_to(ROOT)}")
    sys.exit(0 if all(run.is_green for run in runs) else 1)


def _config(claude_url: str) -> str:
    """The configuration of the instance: that of all end-to-end tests, and what these suites need besides."""
    claudes = [CLAUDE.format(name=name, model=model, url=claude_url, key=CLAUDE_KEY) for name, model in CLAUDES.items()]
    return CONFIG + ALIASES + "".join(claudes)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/clients", description=__doc__)
    parser.add_argument("clients", nargs="*", help=f"of {', '.join(SUITES)}; all when none is named")
    parser.add_argument("--upgrade", action="store_true", help="install the newest versions again")
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    parser.add_argument("--environments", type=Path, default=home / "tierwise-clients", help="where to keep them")
    arguments = parser.parse_args()
    if unknown := set(arguments.clients) - set(SUITES):
        parser.error(f"no suite for {', '.join(sorted(unknown))}")
    return arguments


def _prepare(place: Path, suite: Mapping[str, list[str]], *, upgrade: bool) -> None:
    """Install what a suite needs, once for each list of packages."""
    packages = [*PYTEST, *suite["pip"]] if "pip" in suite else suite["npm"]
    stamp = hashlib.sha256("\n".join(packages).encode()).hexdigest()
    if not upgrade and (place / "stamp").exists() and (place / "stamp").read_text("utf-8") == stamp:
        return
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    if "npm" in suite:
        (place / "package.json").write_text('{"private": true, "type": "module"}', encoding="utf-8")
        _call("npm", "install", "--no-package-lock", "--no-audit", "--no-fund", "--silent", *packages, cwd=place)
    else:
        _call(sys.executable, "-m", "venv", "--without-pip", str(place))
        pip = (shutil.which("python3") or sys.executable, "-m", "pip", "--python", str(place / "bin" / "python"))
        _call(*pip, "install", "--quiet", "--disable-pip-version-check", *packages, cwd=place)
    (place / "stamp").write_text(stamp, encoding="utf-8")


def _call(*command: str, cwd: Path | None = None) -> None:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{done.stderr[-3000:]}")


def _run(name: str, place: Path, directory: Path, instance: Instance) -> Run:
    suite = SUITES[name]
    environment = _environment() | {
        "TIERWISE_TEST_URL": instance.url,
        "TIERWISE_TEST_KEY": instance.key,
        "TIERWISE_TEST_CLAUDE_URL": os.environ["TIERWISE_TEST_CLAUDE_URL"],
    }
    with console.status(f"running {name}"):
        if "npm" in suite:
            return Run(name, _npm_version(place, suite["npm"][0]), read_tap(_node(suite["files"], place, environment)))
        report = directory / f"{name}.xml"
        _pytest(suite["files"], place, directory, report, environment)
        return Run(name, _pip_version(place, suite["pip"][0]), read_junit(report))


def _pytest(files: Sequence[str], place: Path, directory: Path, report: Path, environment: Mapping[str, str]) -> None:
    """Run pytest outside the tree's own configuration; isolated suites see only their own conftest."""
    is_isolated = all(file.startswith(str(ISOLATED.relative_to(ROOT))) for file in files)
    options = ["-c", os.devnull, "--rootdir", str(ROOT), "-p", "no:cacheprovider", "--junit-xml", str(report), "-q"]
    scopes = ("asyncio_default_fixture_loop_scope", "asyncio_default_test_loop_scope")
    for setting in ("asyncio_mode=auto", "junit_family=xunit1", *(f"{scope}=session" for scope in scopes)):
        options += ["-o", setting]
    options += ["--confcutdir", str(ISOLATED if is_isolated else ISOLATED.parent.parent)]
    paths = [str(ROOT / file) for file in files]
    output = _output([str(place / "bin" / "python"), "-m", "pytest", *options, *paths], directory, {
        **environment, "PYTHONPATH": "" if is_isolated else str(ROOT), "PYTHONDONTWRITEBYTECODE": "1",
    })  # fmt: skip
    if " failed" in output or " error" in output or not report.exists():
        console.print(output[-6000:], markup=False, highlight=False)


def _node(files: Sequence[str], place: Path, environment: Mapping[str, str]) -> str:
    for file in files:
        shutil.copy(ROOT / file, place)
    names = [Path(file).name for file in files]
    output = _output(["node", "--test", "--test-reporter=tap", *names], place, environment)
    if "\nnot ok" in output:
        console.print(output[-6000:], markup=False, highlight=False)
    return output


def _output(command: Sequence[str], cwd: Path, environment: Mapping[str, str]) -> str:
    done: Any = subprocess.run(
        command,
        cwd=cwd,
        env=dict(environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SUITE_TIMEOUT_S,
        check=False,
    )
    return str(done.stdout)


def _environment() -> dict[str, str]:
    """What a suite inherits: no settings of a server, no keys of a provider."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("TIERWISE_", "PYTEST_", "VIRTUAL_ENV")) and not name.endswith("_API_KEY")
    }


def _pip_version(place: Path, package: str) -> str:
    name = package.partition("[")[0].partition("=")[0]
    code = f"import importlib.metadata; print(importlib.metadata.version({name!r}))"
    return _output([str(place / "bin" / "python"), "-c", code], place, _environment()).strip()


def _npm_version(place: Path, package: str) -> str:
    code = f"console.log(require('./node_modules/{package}/package.json').version)"
    return _output(["node", "--input-type=commonjs", "-e", code], place, _environment()).strip()


def _show(runs: Sequence[Run]) -> None:
    table = Table(title="Real clients")
    for column in ("client", "version", "passed", "skipped", "failed"):
        table.add_column(column, justify="left" if column in ("client", "version") else "right")
    for run in runs:
        counts = [str(run.count(outcome)) for outcome in ("passed", "skipped", "failed")]
        table.add_row(run.client, run.version, *counts, style=None if run.is_green else "bold red")
    console.print(table)


if __name__ == "__main__":
    main()
