"""Print the tables and write docs/measured/parallel-tier.md; `scripts/bench_parallel --help`."""

import argparse
import asyncio
import os
import sys
import time
from pathlib import Path

from router.tiers.vote.checkers import CheckerPool
from scripts.benchmarks.charts import Line, chart
from scripts.benchmarks.pages import RECORDED
from scripts.benchmarks.parallel_tier import embedded, labels, non_answers, prefixes, recorded_verifiers, tables
from scripts.benchmarks.parallel_tier.pools import CASCADES, ORIGINALS, VOTED, humaneval_with_tests
from scripts.benchmarks.parallel_tier.report import write, write_embedded
from scripts.benchmarks.parallel_tier.tables import Pool, Table

DEFAULT = RECORDED / "multisample"


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(prog="scripts/bench_parallel", description=__doc__)
    parser.add_argument("--data", type=Path, default=os.environ.get("TIERWISE_BENCH_DATA", DEFAULT))
    parser.add_argument("--shuffles", type=int, default=20)
    parser.add_argument("--items", type=int, default=None, help="only so many questions a pool, for a quick look")
    parser.add_argument("--print-only", action="store_true", help="leave docs/ as it is")
    parser.add_argument("--embedded", action="store_true", help="measure four samples of the embedded model, only that")
    parser.add_argument("--rounds", type=int, default=9, help="of --embedded")
    options = parser.parse_args()
    if options.embedded:
        table = asyncio.run(embedded.measured(options.rounds))
        say(table)
        if not options.print_only:
            write_embedded(table)
        return
    if not Path(options.data).is_dir():
        sys.exit(f"no recordings in {options.data}; pass --data DIR. The originals:\n{ORIGINALS}")
    asyncio.run(bench(Path(options.data), options.shuffles, options.items, print_only=options.print_only))


async def bench(data: Path, shuffles: int, items: int | None, *, print_only: bool) -> None:
    """Replay every pool that is there."""
    began = time.monotonic()
    checkers = CheckerPool(timeout_s=5.0)
    voted, cascades = [], []
    for name, load in VOTED.items():
        found = load(data)[:items]
        voted.append(Pool(name, found, min(len(i.texts) for i in found), with_tests="tests" in name))
    for name, load in CASCADES.items():
        found = load(data)
        cascades.append(Pool(name, found[: items or 600], 9, with_tests=False))
    tested = Pool("HumanEval, two tests in the question", humaneval_with_tests(data)[:items], 8, with_tests=False)
    for pool in (*voted, *cascades):
        await pool.read(checkers)
    sys.stderr.write(f"read {len(voted) + len(cascades)} pools in {time.monotonic() - began:.0f} s\n")

    made: list[Table] = []
    early, cpu = await tables.early_stop(voted, checkers, shuffles)
    made.append(early)
    games = [p for p in voted if p.name.startswith("game")]
    made += [await tables.hopeless(games, checkers, shuffles), await tables.checked(games, checkers, shuffles)]
    made.append(await tables.cascade(cascades, checkers, max(1, shuffles // 5)))
    made.append(await labels.cascade_after_labels(cascades, checkers, max(1, shuffles // 10)))
    made.append(await labels.told(voted, cascades, checkers, max(1, shuffles // 10)))
    made.append(await non_answers.not_an_answer(checkers))
    made.append(await prefixes.shared_prefixes())
    grown, curves = tables.growth(voted, shuffles)
    made += [grown, tables.coverage(voted, shuffles), tables.agreement_curves(voted, shuffles), tables.verifiers()]
    made.append(await recorded_verifiers.recorded([*voted, tested], checkers))
    await checkers.close()
    for table in made:
        say(table)
    sys.stdout.write(f"\nCPU of the tier and the replay together: {cpu:.2f} ms per sample\n")
    sys.stderr.write(f"took {time.monotonic() - began:.0f} s\n")
    if not print_only:
        rings: dict[str, list[tuple[float, float]]] = {}
        for name, _, _, accuracy, _, samples, _ in early.rows:
            rings.setdefault(name, []).append((float(samples), float(accuracy)))
        across = "samples that vote; rings: the tier, stopping early"
        lines = [
            Line(name, [x for x, _ in points], [y for _, y in points], has_points=True, rings=rings.get(name, ()))
            for name, points in curves.items()
        ]
        plots = {
            "samples": chart("Accuracy over samples", across, "accuracy", lines, y_range=(0.0, 1.0)),
            "cost": chart(
                "Accuracy over cost", f"cost in {across}", "accuracy", lines, y_range=(0.0, 1.0), logarithmic=True
            ),
        }
        write(made, plots, cpu, shuffles)


def say(table: Table) -> None:
    """Print a table."""
    rows = ("  " + "  |  ".join(row) for row in (table.columns, *table.rows))
    sys.stdout.write("\n".join(["", table.title, table.note, *rows, ""]))


if __name__ == "__main__":
    main()
