"""Try every family of models with everything, and write the second table of docs/compatibility.md."""

import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console

from scripts.benchmarks.pages import DOCS, ROOT
from scripts.benchmarks.provider_results import is_green, read_features, table, with_section

PAGE = DOCS / "compatibility.md"
TESTS = "tests/providers/families"
console = Console()


def main() -> None:
    """Run the tests of the families and write what they came to; exits 1 unless all pass."""
    with tempfile.TemporaryDirectory(prefix="tierwise-providers-") as directory:
        report = Path(directory) / "report.xml"
        options = (
            "-q",
            "-p",
            "no:randomly",
            "-p",
            "no:cacheprovider",
            "-o",
            "junit_family=xunit1",
            f"--junitxml={report}",
        )
        subprocess.run((sys.executable, "-m", "pytest", *options, TESTS), cwd=ROOT, check=False)
        results = read_features(report)
    PAGE.write_text(with_section(PAGE.read_text("utf-8"), table(results)), encoding="utf-8")
    console.print(f"written: {PAGE.relative_to(ROOT)}")
    sys.exit(0 if is_green(results) else 1)


if __name__ == "__main__":
    main()
