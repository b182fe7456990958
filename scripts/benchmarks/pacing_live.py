"""Pacing at work: two real workers, scripted models with prices, a margin that the thresholds alone would miss.

Recorded questions come in for some minutes in a dry run, then with pacing on. What each minute cost, and where
the multiplier went, is read from the books.
"""

import argparse
import asyncio
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path

import aiohttp
from sqlalchemy import Engine, text

from classifier.training.corpus import CorpusMissing, read
from router.database import schema
from router.pacing.multipliers import moves
from router.pacing.steps import Step
from scripts.benchmarks.solver import DEFAULT

TIERWISE = Path(sys.executable).with_name("tierwise")
CONFIG = """
database_url = "sqlite:///books.db"
state_dir = "var"
[server]
port = {port}
workers = 2
[tiers.fast]
model = "scripted/assistant"
[tiers.reasoning]
model = "scripted/assistant-think"
[tiers.parallel]
models = ["scripted/assistant"]
[policy]
parallel_threshold = 2.0
reasoning_threshold = {threshold}
max_deep_share = 1.0
explore = 0.01
shadow = 0.0
[prices."scripted/assistant"]
input = 0.05
output = 0.40
[prices."scripted/assistant-think"]
input = 1.25
output = 10.0
[revenue]
ecpm_usd = {ecpm}
ads_per_query = 0.058
"""
BY_MINUTE = """
SELECT (r.recorded_at / 60000000) AS minute, COUNT(*), AVG(CASE WHEN r.first_tier = 1 THEN 0.0 ELSE 1.0 END),
    SUM(r.expected_revenue_nanousd) / 1e9,
    SUM((SELECT SUM(c.cost_nanousd) FROM calls c WHERE c.request_id = r.id)) / 1e9
FROM requests r GROUP BY minute ORDER BY minute
"""


def run(texts: Sequence[str], minutes: float, rate: float, threshold: float, ecpm: float, margin: float) -> list[str]:
    """Serve, drive, and say what came of each minute."""
    with tempfile.TemporaryDirectory(prefix="tierwise-pacing-") as directory:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        home = Path(directory)
        (home / "tierwise.toml").write_text(CONFIG.format(port=port, threshold=threshold, ecpm=ecpm))
        with (home / "log").open("w") as log:
            server = subprocess.Popen([TIERWISE, "serve"], cwd=home, stdout=log, stderr=log)
        try:
            _wait(port)
            for mode, part in (("dry_run", 0.3), ("on", 1.0)):
                _policy(home, f"min_margin={margin}", f"pacing={mode}")
                asyncio.run(_drive(port, texts, part * minutes * 60, rate))
        finally:
            server.terminate()
            server.wait(30)
        engine = schema.ready_engine(f"sqlite:///{home}/books.db")
        lines = told(engine)
        engine.dispose()
        return lines


def told(engine: Engine) -> list[str]:
    """A row per minute: what came in, what it cost and earned, and the step after it."""
    steps: dict[int, Step] = {step.interval: step for step in moves(engine, 10_000, every=True)}
    lines = [
        "| minute | pacing | queries | deep | cost | margin | multiplier after it |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    with engine.connect() as connection:
        rows = connection.execute(text(BY_MINUTE)).all()
    for minute, count, deep, earned, cost in rows:
        step = steps.get(minute)
        state = "-" if step is None else "frozen" if step.is_frozen else "dry run" if step.is_dry else "on"
        price = "-" if step is None else f"{step.price:.3f}"
        place = minute - rows[0][0] + 1
        margin = f"{1 - cost / earned:.1%}"
        lines.append(f"| {place} | {state} | {count} | {deep:.1%} | ${cost:.3f} | {margin} | {price} |")
    return lines


async def _drive(port: int, texts: Sequence[str], seconds: float, rate: float) -> None:
    """Ask questions at a rate for some time, as far as the server keeps up."""
    url, ends, free = f"http://127.0.0.1:{port}/v1/chat/completions", time.monotonic() + seconds, asyncio.Semaphore(32)
    pending: set[asyncio.Task[None]] = set()
    async with aiohttp.ClientSession() as session:

        async def ask(question: str) -> None:
            body = {"model": "auto", "messages": [{"role": "user", "content": question}]}
            async with session.post(url, json=body) as answer:
                await answer.read()

        def done(task: asyncio.Task[None]) -> None:
            pending.discard(task)
            free.release()

        place, begun = 0, time.monotonic()
        while time.monotonic() < ends:
            await free.acquire()
            task = asyncio.create_task(ask(texts[place * 7919 % len(texts)]))
            pending.add(task)
            task.add_done_callback(done)
            place += 1
            await asyncio.sleep(max(begun + place / rate - time.monotonic(), 0))
        await asyncio.gather(*pending)


def _policy(home: Path, *dials: str) -> None:
    """Put dials in force, as an operator would."""
    wanted = [part for dial in dials for part in ("--set", dial)]
    made = subprocess.run(
        [TIERWISE, "policy", "propose", *wanted], cwd=home, check=True, capture_output=True, text=True
    )
    version = next(word for word in made.stdout.split() if word.isdigit())
    subprocess.run(
        [TIERWISE, "policy", "activate", version, "--note", "the bench begins"],
        cwd=home,
        check=True,
        capture_output=True,
    )


def _wait(port: int) -> None:
    for _ in range(120):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health/ready", timeout=2):
                return
        except OSError:
            time.sleep(0.5)
    sys.exit("the server did not start")


def main() -> None:
    """Run and print the table."""
    parser = argparse.ArgumentParser(prog="python -m scripts.benchmarks.pacing_live", description=__doc__)
    parser.add_argument("--data", type=Path, default=os.environ.get("TIERWISE_BENCH_OUTCOMES", DEFAULT))
    parser.add_argument("--minutes", type=float, default=16.0, help="with pacing on; before, a third of it dry")
    parser.add_argument("--rate", type=float, default=12.0, help="queries a second")
    parser.add_argument("--threshold", type=float, default=0.2)
    parser.add_argument("--ecpm", type=float, default=10.0)
    parser.add_argument("--margin", type=float, default=0.3)
    options = parser.parse_args()
    try:
        texts = [query.text for query in read(Path(options.data)).queries]
    except CorpusMissing as error:
        sys.exit(f"{error}; pass --data DIR")
    lines = run(texts, options.minutes, options.rate, options.threshold, options.ecpm, options.margin)
    sys.stdout.write("\n".join([*lines, ""]))


if __name__ == "__main__":
    main()
