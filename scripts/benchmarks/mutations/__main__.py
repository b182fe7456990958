"""Sends mutated answers through the whole service and prints what was lost, ours, or booked against the text."""

import asyncio
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from scripts.benchmarks.mutations.run import run

SHOWN = 20


def mutations(
    number: Annotated[int, typer.Option(help="How many answers are mutated.")] = 5_000,
    seed: Annotated[int, typer.Option(help="Of the random choices.")] = 1,
) -> None:
    """Print each fault, then the counts; ends with 1 where there is a fault."""
    with tempfile.TemporaryDirectory(prefix="tierwise-mutations-") as directory:
        result = asyncio.run(run(Path(directory), range(number), seed))
    for fault in result.faults[:SHOWN]:
        typer.echo(fault)
    typer.echo(
        f"{result.answers} mutated answers, {result.readable} readable: {result.lost} lost, "
        f"{result.ours} errors of our own, {result.disbelieved} booked as exact against the text; "
        f"{result.estimated} of {result.lines} lines estimated"
    )
    sys.exit(1 if result.faults else 0)


if __name__ == "__main__":
    typer.run(mutations)
