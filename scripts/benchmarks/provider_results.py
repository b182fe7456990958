"""What families of models can be asked through us, read from JUnit XML: the second table of the compatibility page."""

import re
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path

from scripts.benchmarks.client_results import outcome_of, properties_of

TITLE = "## Families of models"
ALL, SOME, NONE, NOTHING = "yes", "partly", "**no**", "-"  # what of a feature passed; "-": the family has no such thing
_SECTION = re.compile(rf"\n*{re.escape(TITLE)}\n.*?(?=\n## |\Z)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class FeatureResult:
    """One test of one feature of one family."""

    family: str
    feature: str
    outcome: str  # passed | failed | skipped


def read_features(path: Path) -> tuple[FeatureResult, ...]:
    """Read what pytest wrote of `tests/providers/families`."""
    return tuple(filter(None, (_result(case) for case in ElementTree.parse(path).iter("testcase"))))


def _result(case: ElementTree.Element) -> FeatureResult | None:
    properties = properties_of(case)
    if not {"family", "feature"} <= properties.keys():
        return None
    return FeatureResult(properties["family"], properties["feature"], outcome_of(case))


def is_green(results: tuple[FeatureResult, ...]) -> bool:
    """Tell whether something ran and nothing failed."""
    return any(result.outcome == "passed" for result in results) and all(r.outcome != "failed" for r in results)


def table(results: tuple[FeatureResult, ...]) -> str:
    """Write the table: a row for each feature, a column for each family, in the order of the tests."""
    families = list(dict.fromkeys(result.family for result in results))
    features = list(dict.fromkeys(result.feature for result in results))
    lines = [
        TITLE,
        "",
        "Made by `scripts/providers`, which tests each family in its own dialect, streamed and whole, against a server "
        "that is as",
        "strict as the family's own (`tests/providers/families`). "
        f"{ALL}: all tests passed; {NOTHING}: the family has no such feature.",
        "",
        f"| | {' | '.join(families)} |",
        f"| --- |{' --- |' * len(families)}",
    ]
    lines += [
        f"| {feature} | {' | '.join(_cell(results, family, feature) for family in families)} |" for feature in features
    ]
    return "\n".join(lines) + "\n"


def _cell(results: tuple[FeatureResult, ...], family: str, feature: str) -> str:
    outcomes = [r.outcome for r in results if (r.family, r.feature) == (family, feature) and r.outcome != "skipped"]
    passed = outcomes.count("passed")
    if not outcomes:
        return NOTHING
    return ALL if passed == len(outcomes) else SOME if passed else NONE


def section_of(page: str) -> str:
    """Return the table as a page has it, empty where it has none."""
    found = _SECTION.search(page)
    return found.group(0).strip("\n") + "\n" if found else ""


def with_section(page: str, section: str) -> str:
    """Put the table at the end of a page, in place of the one it has."""
    rest = _SECTION.sub("", page).rstrip("\n")
    return f"{rest}\n\n{section}" if section else f"{rest}\n"
