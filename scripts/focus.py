"""Holds a FOCUS bill against the rules of `focus-validator`, the FinOps Foundation's own.

Run as `scripts/check_focus`, which installs the validator where it is missing.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from router.reports.focus import VERSION

ENVIRONMENT = Path(os.environ.get("TIERWISE_FOCUS", "/tmp/tierwise-focus"))
TIERWISE = Path(sys.executable).with_name("tierwise")
# What is true of our bills, in the words of the specification; rules of anything else do not apply.
SUPPORTED = (
    "ACCOUNT_NAMING_SUPPORTED",
    "MULTIPLE_PRICING_CATEGORIES_SUPPORTED",
    "NEGOTIATED_PRICING_SUPPORTED",
    "PUBLIC_PRICE_LIST_SUPPORTED",
    "SUB_ACCOUNT_SUPPORTED",
    "UNIT_PRICING_SUPPORTED",
    "USAGE_MEASUREMENT_SUPPORTED",
)
CONFIG = """
database_url = "sqlite:///{directory}/tierwise.db"
state_dir = "{directory}/state"
"""


def check_focus(
    requests: Annotated[int, typer.Option(min=1, help="How many made-up requests.")] = 2_000,
    days: Annotated[int, typer.Option(min=1, help="Over so many days.")] = 40,
) -> None:
    """Seed, write a bill, and say which rules it breaks; exit code 1 where it breaks any."""
    with tempfile.TemporaryDirectory(prefix="tierwise-focus-") as directory:
        config, bill = Path(directory) / "tierwise.toml", Path(directory) / "bill.csv"
        config.write_text(CONFIG.format(directory=directory), encoding="utf-8")
        options = ["--config", str(config)]
        seed = [sys.executable, "-m", "scripts.showcase.seed", "--requests", str(requests), "--days", str(days)]
        subprocess.run([*seed, *options], check=True)
        subprocess.run([TIERWISE, "report", "--format", "focus", "-o", str(bill), *options], check=True)
        summary, broken = judge_bill(bill)
    typer.echo(summary)
    for line in broken:
        typer.echo(f"broken: {line}")
    raise typer.Exit(bool(broken))


def is_installed() -> bool:
    """Tell whether the validator is there."""
    return (ENVIRONMENT / "bin" / "focus-validator").exists()


def judge_bill(bill: Path) -> tuple[str, list[str]]:
    """Run the validator; return its summary, and a line for each rule that the bill breaks."""
    # It looks for its list of currencies from where it is installed.
    [package] = ENVIRONMENT.glob("lib/python*/site-packages/focus_validator")
    command = [str(ENVIRONMENT / "bin" / "focus-validator"), "--data-file", str(bill.resolve()), "--block-download"]
    options = ["--validate-version", VERSION, "--applicability-criteria", ",".join(SUPPORTED)]
    ran = subprocess.run([*command, *options], cwd=package.parent, capture_output=True, text=True, check=False)
    summary = re.search(r"^Total: .*$", ran.stdout, re.MULTILINE)
    if summary is None:
        raise SystemExit(f"the validator could not read the bill:\n{ran.stdout}\n{ran.stderr}")
    failed = dict(re.findall(r"^- (\S+): (.*)$", ran.stdout, re.MULTILINE))
    [model] = (package / "rules").glob(f"model-{VERSION}.*.json")
    rules = json.loads(model.read_text(encoding="utf-8"))["ModelRules"]
    excused = set(_alternatives(rules, failed))
    return summary[0], [f"{rule}: {line}" for rule, line in failed.items() if rule not in excused]


def _alternatives(rules: dict[str, Any], failed: Iterable[str]) -> Iterator[str]:
    """Name the rules of which only one must hold (a column is null, or it is not) and one does: the validator counts
    the other as broken too.
    """
    for name, rule in rules.items():
        requirement = rule["ValidationCriteria"]["Requirement"]
        if requirement.get("CheckFunction") == "OR" and name not in failed:
            yield from (item["ModelRuleId"] for item in requirement["Items"] if "ModelRuleId" in item)


if __name__ == "__main__":
    typer.run(check_focus)
