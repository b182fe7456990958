"""Writes docs/measured/parallel-tier.md: how the tier works, and what was measured."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from scripts.benchmarks.pages import MEASURED
from scripts.benchmarks.parallel_tier.tables import Table

PAGE = MEASURED / "parallel-tier.md"
INTRODUCTION = Path(__file__).with_name("introduction.md")
EMBEDDED = Path(__file__).with_name("embedded.md")
FINDINGS = Path(__file__).with_name("findings.md")


def write(tables: Sequence[Table], plots: Mapping[str, str], cpu_ms: float, shuffles: int) -> None:
    """Write the page and its plots."""
    MEASURED.mkdir(exist_ok=True)
    parts = [
        "<!-- made by scripts/bench_parallel; edit scripts/benchmarks/parallel_tier/*.md instead -->",
        INTRODUCTION.read_text(encoding="utf-8").strip(),
        "## What was measured",
        f"`scripts/bench_parallel --shuffles {shuffles}` replays recorded samples through the tier itself, with a"
        " provider that hands out the next recorded sample each time it is asked. Intervals are 95 %, paired,"
        f" bootstrapped over questions. The tier and the replay together took {cpu_ms:.2f} ms of CPU per sample.",
    ]
    for name, svg in plots.items():
        (MEASURED / f"parallel-tier-{name}.svg").write_text(svg, encoding="utf-8")
        parts.append(f"![accuracy over {name}](parallel-tier-{name}.svg)")
    for table in tables:
        parts.append(_section(table))
    parts += [EMBEDDED.read_text(encoding="utf-8").strip(), FINDINGS.read_text(encoding="utf-8").strip()]
    PAGE.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def write_embedded(table: Table) -> None:
    """Put what was measured of the embedded model in the place of what was, on the page and for its next making."""
    page, was = PAGE.read_text(encoding="utf-8"), EMBEDDED.read_text(encoding="utf-8").strip()
    assert page.count(was) == 1, f"{PAGE} does not hold {EMBEDDED}"
    PAGE.write_text(page.replace(was, _section(table)), encoding="utf-8")
    EMBEDDED.write_text(_section(table) + "\n", encoding="utf-8")


def _section(table: Table) -> str:
    rule = "|" + " --- |" * len(table.columns)
    rows = ["| " + " | ".join(row) + " |" for row in (table.columns, *table.rows)]
    return "\n\n".join([f"### {table.title}", table.note, "\n".join([rows[0], rule, *rows[1:]])])
