"""What the suites of real clients came to: read from JUnit XML and TAP, written as docs/compatibility.md."""

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

MOST_NAMES = 8
_TAP = re.compile(r"^(?P<not>not )?ok \d+ - (?P<title>.*?)(?: \[(?P<covers>[^\]]*)\])?(?P<skip> # SKIP.*)?$")
_TIER = re.compile(r"^(?:auto|fast|reasoning|parallel): ")


@dataclass(frozen=True, slots=True)
class Result:
    """One test of one client: how it ended, and what of the API it covers."""

    name: str
    outcome: str  # passed | failed | skipped
    covers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Run:
    """One client's suite."""

    client: str
    version: str
    results: tuple[Result, ...]

    def count(self, outcome: str) -> int:
        """How many tests ended so."""
        return sum(result.outcome == outcome for result in self.results)

    @property
    def is_green(self) -> bool:
        """Tell whether something ran and nothing failed."""
        return self.count("passed") > 0 and not self.count("failed")


def read_junit(path: Path) -> tuple[Result, ...]:
    """Read what pytest wrote; nothing where it could not even start."""
    if not path.exists():
        return ()
    return tuple(_junit(case) for case in ElementTree.parse(path).iter("testcase"))


def _junit(case: ElementTree.Element) -> Result:
    covers = tuple(name for name in properties_of(case).get("covers", "").split("|") if name)
    return Result(case.get("name", "?"), outcome_of(case), covers)


def outcome_of(case: ElementTree.Element) -> str:
    """Tell how a test ended: `passed`, `failed` or `skipped`."""
    if case.find("failure") is not None or case.find("error") is not None:
        return "failed"
    return "passed" if case.find("skipped") is None else "skipped"


def properties_of(case: ElementTree.Element) -> dict[str | None, str]:
    """Return what a test recorded of itself."""
    return {entry.get("name"): entry.get("value") or "" for entry in case.iter("property")}


def read_tap(text: str) -> tuple[Result, ...]:
    """Read what node's test runner wrote."""
    found = (_TAP.match(line) for line in text.splitlines())
    return tuple(_tap(line) for line in found if line)


def _tap(line: re.Match[str]) -> Result:
    outcome = "failed" if line["not"] else "skipped" if line["skip"] else "passed"
    return Result(line["title"], outcome, tuple((line["covers"] or "").split()))


def compatibility(runs: Iterable[Run]) -> str:
    """Write the page: clients with their counts, then which test of which client covers a parameter."""
    runs = sorted(runs, key=lambda run: run.client.casefold())
    lines = [
        "# Compatibility",
        "",
        "Made by `scripts/clients`, which runs unmodified clients against a fresh instance with the scripted provider.",
        "",
        "| client | version | passed | skipped | failed |",
        "| --- | --- | --: | --: | --: |",
    ]
    lines += [
        f"| {run.client} | {run.version} | {run.count('passed')} | {run.count('skipped')} | {run.count('failed')} |"
        for run in runs
    ]
    lines += ["", "## What is covered by which test", "", "| part of the API | covered by |", "| --- | --- |"]
    covered = _covered(runs)
    lines += [f"| `{name}` | {_by(covered[name])} |" for name in sorted(covered, key=str.casefold)]
    return "\n".join(lines) + "\n"


def _covered(runs: Iterable[Run]) -> dict[str, dict[str, list[str]]]:
    found: dict[str, dict[str, list[str]]] = {}
    for run in runs:
        for result in run.results:
            if result.outcome == "skipped":
                continue
            name = _TIER.sub("", result.name.partition("[")[0])
            for covered in result.covers:
                names = found.setdefault(covered, {}).setdefault(run.client, [])
                if name not in names:
                    names.append(name)
    return found


def _by(clients: Mapping[str, list[str]]) -> str:
    return "; ".join(f"{client}: {_named(clients[client])}" for client in sorted(clients, key=str.casefold))


def _named(tests: list[str]) -> str:
    if len(tests) > MOST_NAMES:
        return f"{len(tests)} tests"
    return ", ".join(f"`{test}`" for test in tests)
