"""What verifiers do on recorded samples: how often right answers and wrong ones are not ruled wrong."""

from collections.abc import Sequence

from router.providers.base import Choice
from router.tiers.vote.checkers import CheckerPool
from router.tiers.vote.keys import Asked, read_question
from router.tiers.vote.rates import VerifierRates
from router.tiers.vote.verifiers import Ruling, Verifier, default_verifiers
from scripts.benchmarks.parallel_tier.pools import Item
from scripts.benchmarks.parallel_tier.tables import Pool, Table

EACH = 3  # samples of a question, right ones and wrong ones: to run a program takes a tenth of a second


async def recorded(pools: Sequence[Pool], checkers: CheckerPool) -> Table:
    """Rule on right and on wrong samples of every question that a verifier applies to."""
    table = Table(
        "Verifiers on recorded samples",
        f"Up to {EACH} right and {EACH} wrong samples were taken of each question that a verifier applies to. The "
        "table shows the share that is not ruled wrong, with Wilson intervals, and what is ruled right, which ends a "
        "vote. `program` ran each program on two of the tests that decide whether it is right; its question contains "
        "these two.",
        [
            "verifier",
            "pool",
            "questions",
            "right, not ruled wrong",
            "wrong, not ruled wrong",
            "ruled right, of these wrong",
        ],
    )
    for pool in pools:
        for verifier in default_verifiers(checkers, runs_code=True):
            asked = [(item, read_question(item.answer_type, _messages(item), {})) for item in pool.items]
            applies = [(item, question) for item, question in asked if verifier.applies(question)]
            if applies:
                rates, proved, wrongly = await _rates(verifier, applies)
                right, wrong = rates.true_positive, rates.false_positive
                table.rows.append(
                    [verifier.name, pool.name, str(len(applies)),
                     f"{right.value:.3f} ({right.low:.3f} to {right.high:.3f})" if rates.right else "",
                     f"{wrong.value:.3f} ({wrong.low:.3f} to {wrong.high:.3f})" if rates.wrong else "",
                     f"{proved}, {wrongly}" if verifier.proves else ""]
                )  # fmt: skip
    return table


async def _rates(verifier: Verifier, applies: Sequence[tuple[Item, Asked]]) -> tuple[VerifierRates, int, int]:
    counts = {True: [0, 0], False: [0, 0]}
    proved = {True: 0, False: 0}
    for item, question in applies:
        for is_right in (True, False):
            texts = [text for text, right in zip(item.texts, item.correct, strict=True) if right is is_right]
            for text in list(dict.fromkeys(texts))[:EACH]:
                ruling = await verifier.rule(Choice(content=text), question)
                counts[is_right][0] += ruling is not Ruling.WRONG
                counts[is_right][1] += 1
                proved[is_right] += ruling is Ruling.RIGHT
    return VerifierRates(*counts[True], *counts[False]), proved[True] + proved[False], proved[False]


def _messages(item: Item) -> list[dict[str, str]]:
    return [{"role": "user", "content": item.question}]
