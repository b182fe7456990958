"""Writes docs/parallel-tier.md: how the tier works, and what was measured."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from scripts.parallel_bench.tables import Table

DOCS = Path(__file__).parents[2] / "docs"
INTRODUCTION = Path(__file__).with_name("introduction.md")
FINDINGS = Path(__file__).with_name("findings.md")


def write(tables: Sequence[Table], plots: Mapping[str, str], cpu_ms: float, shuffles: int) -> None:
    """Write the page and its plots."""
    DOCS.mkdir(exist_ok=True)
    parts = [
        "<!-- made by scripts/bench_parallel; edit scripts/parallel_bench/*.md instead -->",
        INTRODUCTION.read_text(encoding="utf-8").strip(),
        "## What was measured",
        f"`scripts/bench_parallel --shuffles {shuffles}` replays recorded samples through the tier itself, with a"
        " provider that hands out the next recorded sample each time it is asked. Intervals are 95 %, paired,"
        f" bootstrapped over questions. The tier and the replay together took {cpu_ms:.2f} ms of CPU per sample.",
    ]
    for name, svg in plots.items():
        (DOCS / f"parallel-tier-{name}.svg").write_text(svg, encoding="utf-8")
        parts.append(f"![accuracy over {name}](parallel-tier-{name}.svg)")
    for table in tables:
        rule = "|" + " --- |" * len(table.columns)
        rows = ["| " + " | ".join(row) + " |" for row in (table.columns, *table.rows)]
        parts += [f"### {table.title}", table.note, "\n".join([rows[0], rule, *rows[1:]])]
    parts.append(FINDINGS.read_text(encoding="utf-8").strip())
    (DOCS / "parallel-tier.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")
