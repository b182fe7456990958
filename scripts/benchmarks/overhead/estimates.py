"""What an estimate costs in CPU, beside the estimate of another checkout: a process for each, asked in turn.

    python -m scripts.benchmarks.overhead.estimates --before CHECKOUT

Only the ratio means anything on a shared machine. Texts are the written queries of the project, cut to size.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

from classifier.training.consumer_corpus import read_queries

HERE = Path(__file__).resolve().parents[3]
WORDS = {20: 15, 200: 150, 1000: 750}  # by tokens
TEXTS, LANGUAGE = 60, "en"
WORKER = """
import json, statistics, sys, time
from classifier import artifact
from classifier.types import Turn
model = artifact.load()
for line in sys.stdin:
    times = []
    for text in json.loads(line) * 4:
        turns = [Turn("user", text)]
        begin = time.process_time_ns()
        model.estimate(turns)
        times.append((time.process_time_ns() - begin) / 1e6)
    print(statistics.median(times), flush=True)
"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--before", type=Path, required=True, metavar="CHECKOUT")
    parser.add_argument("--rounds", type=int, default=40)
    chosen = parser.parse_args()
    texts = {tokens: _texts_of(size) for tokens, size in WORDS.items()}
    took: dict[tuple[int, int], list[float]] = {(at, tokens): [] for at in range(2) for tokens in WORDS}
    with ExitStack() as stack:
        workers = [
            stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", WORKER],
                    env={**os.environ, "PYTHONPATH": str(checkout.resolve())},
                    cwd=checkout,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
            for checkout in (chosen.before, HERE)
        ]
        for turn in range(chosen.rounds + 2):
            for tokens, asked in texts.items():
                for at in (0, 1) if turn % 2 else (1, 0):
                    stdin, stdout = workers[at].stdin, workers[at].stdout
                    assert stdin
                    assert stdout
                    stdin.write(json.dumps(asked) + "\n")
                    stdin.flush()
                    milliseconds = float(stdout.readline())
                    if turn > 1:  # the first rounds fill caches
                        took[at, tokens].append(milliseconds)
    print("| tokens | before, ms | now, ms | ratio by round: median (middle half) |\n| --- | --- | --- | --- |")
    for tokens in WORDS:
        before, now = took[0, tokens], took[1, tokens]
        low, median, high = statistics.quantiles([b / a for a, b in zip(before, now, strict=True)])
        print(f"| {tokens} | {min(before):.3f} | {min(now):.3f} | {median:.2f} ({low:.2f}-{high:.2f}) |")


def _texts_of(size: int) -> list[str]:
    """Texts of so many words, one after the other from the written queries."""
    words = " ".join(query.asked for query in read_queries() if query.language == LANGUAGE).split()
    return [" ".join(words[start : start + size]) for start in range(0, TEXTS * size, size)]


if __name__ == "__main__":
    main()
