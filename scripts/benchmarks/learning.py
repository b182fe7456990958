"""What learning from the traffic is worth: traffic of a kind that the classifier never saw, labelled as a service is.

The base is fitted without the exam questions (MMLU-Pro). These then are the traffic, answered by a pair of models whose
answers were graded. Requests are booked in a database as the router books them, with features and without text; some
are duelled, some rated. `router.learning.refit` learns from the books, and the result is judged on all later queries by
their true grades.

Which answer was right is recorded. The rest is made up, because texts of answers were not recorded: two wrong answers
are the same in 30 % of cases; a tenth of the thumbs is wrong; and a judge that prefers the same answer in both orders
(70 %) is right in 85 % of cases if one answer is right, and prefers either if none or both are.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path

import numpy as np
import numpy.typing as npt
from sqlalchemy import Engine, insert

from classifier import artifact
from classifier.features import SURFACE_NAMES
from classifier.model import DifficultyModel
from classifier.rows import ROW_FORMAT, pack
from classifier.training import controls, metrics
from classifier.training.adapt import FEWEST_FOR_RANKING, Example, adapt_to_examples
from classifier.training.corpus import Corpus, CorpusMissing, read
from classifier.training.holdout import HoldoutVerdict
from classifier.training.studies import fit_model
from classifier.training.trials import PAIRS, group_of
from classifier.types import UNKNOWN_INTERVAL, Abilities, Interval, Turn
from router.clock import request_id
from router.database import schema
from router.database.tables import Feedback
from router.learning import labels
from router.learning.refit import LABELS_FOR_RANKING, refit
from router.ledger.entries import Closing, DuelVerdict, KeptFeatures, Opening
from router.ledger.folding import RequestRecord
from router.ledger.store import Store
from router.reports.window import Window
from router.types import Agreement, Outcome, Reason, Tier
from scripts.benchmarks.pages import RECORDED

Array = npt.NDArray[np.float64]

DEFAULT = RECORDED / "outcomes"
GROUP = "mmlu_pro"
SIZES = (50, 500, 1500)
TRUST = (
    "What is assumed about a judge, and from how many labels on a ranking of its own is tried, was decided on this",
    "same traffic with a base that ranked it worse. Where the base ranks about as well as noisy labels teach, a",
    "ranking of its own improves the calibration and may lose a little in ranking; the verdict on the card, which uses",
    "the squared error of the gain and the same noisy labels, does not see that. A canary with feedback does.",
)
BEGIN_US, STEP_US = 1_780_000_000_000_000, 20_000_000
WRONG_ALIKE, WRONG_THUMBS, JUDGE_RIGHT, OF_ONE_MIND = 0.3, 0.1, 0.85, 0.7
DEEP_SHARE, EXPLORE, DUELLED = 0.15, 0.05, 0.7
CHARACTERS = SURFACE_NAMES.index("characters")


@dataclass(frozen=True)
class Traffic:
    """Queries in the order in which they come, and whether each model's answer is right."""

    pair: tuple[str, str]
    texts: list[str]
    fast: Array
    reasoning: Array
    abilities: Abilities


def traffic_of(corpus: Corpus, base: DifficultyModel, pair: tuple[str, str], seed: int) -> Traffic:
    """The group's queries that both models answered, in random order."""
    weak, strong = (corpus.scores[:, corpus.column(name)] for name in pair)
    rows = [
        row
        for row, query in enumerate(corpus.queries)
        if group_of(query.source) == GROUP and np.isfinite(weak[row]) and np.isfinite(strong[row])
    ]
    order = np.random.default_rng(seed).permutation(rows)
    texts = [corpus.queries[row].text for row in order]
    return Traffic(pair, texts, weak[order], strong[order], Abilities(*(base.ability_of(name) for name in pair)))


def book(
    engine: Engine, traffic: Traffic, base: DifficultyModel, count: int, dice: np.random.Generator, *, has_judge: bool
) -> None:
    """Serve the first `count` queries: each is duelled or rated, and booked."""
    said = [base.estimate((Turn("user", text),), traffic.abilities) for text in traffic.texts[:count]]
    cut = float(np.quantile([estimate.score for estimate in said], 1 - DEEP_SHARE))
    records, ratings = [], []
    for at, estimate in enumerate(said):
        opened_at = BEGIN_US + at * STEP_US
        id_ = request_id(opened_at, dice.bytes(10))
        greedy = Tier.REASONING if estimate.score >= cut else Tier.FAST
        tier = (Tier.FAST, Tier.REASONING)[int(dice.random() < 0.5)] if dice.random() < EXPLORE else greedy
        propensity = 1 - EXPLORE / 2 if tier is greedy else EXPLORE / 2
        assert estimate.seen is not None
        record = RequestRecord(id_)
        record.add(
            Opening(
                id_, opened_at, None, "default", "ZZ", "auto", tier, Reason.BELOW_THRESHOLD, estimate.score,
                estimate.p_fast, estimate.p_reasoning, propensity, 1, estimate.version, estimate.answer_type, None, 1,
                False, True, None, None,
            )
        )  # fmt: skip
        record.add(KeptFeatures(id_, opened_at, ROW_FORMAT, pack(estimate.seen)))
        record.add(Closing(id_, opened_at + 1, tier, Outcome.OK, None, 1, 2))
        right = {Tier.FAST: traffic.fast[at] >= 0.5, Tier.REASONING: traffic.reasoning[at] >= 0.5}
        if dice.random() < DUELLED:
            record.add(duel(id_, opened_at, tier, right, dice, has_judge=has_judge))
        else:
            thumb = bool(right[tier]) ^ (dice.random() < WRONG_THUMBS)
            ratings.append({"request_id": id_, "rating": 1 if thumb else -1, "created_at": opened_at})
        records.append(record)
    Store(engine).record(records, BEGIN_US)
    with engine.begin() as connection:
        connection.execute(insert(Feedback), ratings)


def duel(
    id_: str, at: int, tier: Tier, right: dict[Tier, bool], dice: np.random.Generator, *, has_judge: bool
) -> DuelVerdict:
    """What a duel finds: answers agree when both are right, and sometimes when both are wrong."""
    other = Tier.REASONING if tier is Tier.FAST else Tier.FAST
    both, neither = all(right.values()), not any(right.values())
    if both or (neither and dice.random() < WRONG_ALIKE):
        return DuelVerdict(id_, at, tier, other, Agreement.SAME, None, 1.0, 1.0, 0)
    if not has_judge or dice.random() > OF_ONE_MIND:
        return DuelVerdict(id_, at, tier, other, Agreement.DIFFERS, None, None, None, 0)
    better, worse = (Tier.FAST, Tier.REASONING) if right[Tier.FAST] else (Tier.REASONING, Tier.FAST)
    preferred = better if dice.random() < (0.5 if neither else JUDGE_RIGHT) else worse
    fast, reasoning = float(preferred is Tier.FAST), float(preferred is Tier.REASONING)
    return DuelVerdict(id_, at, tier, other, Agreement.DIFFERS, preferred, fast, reasoning, 0)


@dataclass(frozen=True)
class Measured:
    """Figures of one model on later queries, by their true grades."""

    need: Interval
    apgr: Interval
    ece_fast: Interval
    ece_reasoning: Interval


def measured(scores: Array, chances: Array | None, weak: Array, strong: Array) -> Measured:
    """Ranking by scores, calibration of chances where there are any."""
    rows = [str(row) for row in range(len(weak))]
    need = (weak < 0.5) & (strong >= 0.5)
    nothing = UNKNOWN_INTERVAL

    def ece(tier: int, right: Array) -> Interval:
        if chances is None:
            return nothing
        return metrics.bootstrap(lambda at: metrics.ece(chances[at, tier], right[at]), rows)

    return Measured(
        metrics.bootstrap(lambda at: metrics.auroc(need[at], scores[at]), rows),
        metrics.bootstrap(lambda at: metrics.apgr(scores[at], weak[at], strong[at]), rows),
        ece(0, weak),
        ece(1, strong),
    )


@dataclass(frozen=True)
class Run:
    """One size of one draw: figures by model and control, and what the command itself said."""

    figures: dict[str, Measured]
    method: str
    verdict: HoldoutVerdict


def run(traffic: Traffic, base: DifficultyModel, count: int, seed: int, *, has_judge: bool) -> Run:
    """Book, learn, and judge on all queries after the first `largest`."""
    with tempfile.TemporaryDirectory() as directory:
        engine = schema.ready_engine(f"sqlite:///{directory}/books.db")
        book(engine, traffic, base, count, np.random.default_rng(seed), has_judge=has_judge)
        labelled_requests = labels.read(engine, Window(None, None, UTC))
        engine.dispose()
    found = refit(labelled_requests, base, traffic.abilities, lambda line: None)
    later = slice(max(SIZES), None)
    seen = [base.read((Turn("user", text),)) for text in traffic.texts[later]]
    weak, strong = traffic.fast[later], traffic.reasoning[later]

    def chances(model: DifficultyModel) -> Array:
        said = [model.judge(each, traffic.abilities) for each in seen]
        return np.array([(each.p_fast, each.p_reasoning) for each in said])

    before, after = chances(base), chances(found.adapted.model)
    gains = after[:, 1] - after[:, 0]
    taught = [base.read((Turn("user", text),)) for text in traffic.texts[: int(count * 0.75)]]
    given = [
        Example(each, float(fast), float(reasoning))
        for each, fast, reasoning in zip(taught, traffic.fast, traffic.reasoning, strict=False)
    ]
    fewest = FEWEST_FOR_RANKING if count >= LABELS_FOR_RANKING else count
    told = adapt_to_examples(
        given, base, "told", lambda line: None, abilities=traffic.abilities, fewest_for_ranking=fewest
    )
    truth = chances(told.model)
    length = np.array([float(each.features.surface[CHARACTERS]) for each in seen])
    figures = {
        "base": measured(before[:, 1] - before[:, 0], before, weak, strong),
        "refitted from the books": measured(gains, after, weak, strong),
        "refitted from true grades": measured(truth[:, 1] - truth[:, 0], truth, weak, strong),
        "length only": measured(length, None, weak, strong),
        "cost-matched shuffled": measured(controls.shuffled(gains), None, weak, strong),
        "random": measured(controls.random(len(weak)), None, weak, strong),
        "oracle": measured(controls.oracle(weak, strong), None, weak, strong),
    }
    return Run(figures, found.adapted.method, found.figures.verdict)


def mean(runs: Sequence[Run], name: str, of: Callable[[Measured], Interval]) -> str:
    """Mean value over draws, with the mean bounds of their intervals."""
    values = np.array([(i.value, i.low, i.high) for i in (of(each.figures[name]) for each in runs)])
    value, low, high = values.mean(axis=0)
    return "-" if np.isnan(value) else f"{value:.3f} [{low:.3f}, {high:.3f}]"


def table(found: dict[int, list[Run]]) -> list[str]:
    """Figures by number of labels."""
    lines = [
        "| labels | ranking | AUROC of need | APGR | ECE of p_fast | ECE of p_reasoning | method; own verdict |",
        "|---|---|---|---|---|---|---|",
    ]
    for size, runs in found.items():
        for name in runs[0].figures:
            told = ""
            if name == "refitted from the books":
                ranked = sum(each.method.startswith("own") for each in runs)
                verdicts = [str(each.verdict) for each in runs]
                shown = ", ".join(f"{verdict} {verdicts.count(verdict)}" for verdict in sorted(set(verdicts)))
                told = f"own ranking in {ranked} of {len(runs)}; {shown}"
            cells = [
                mean(runs, name, of)
                for of in (
                    lambda m: m.need,
                    lambda m: m.apgr,
                    lambda m: m.ece_fast,
                    lambda m: m.ece_reasoning,
                )
            ]
            lines.append(f"| {size} | {name} | {' | '.join(cells)} | {told} |")
    return lines


def sizes_of_rows(corpus: Corpus) -> str:
    """How many bytes rows of consumer prompts take, and how long packing one takes."""
    base, parts = artifact.load(), []
    for use, name in (("lengths-only", "Arena-Hard prompts"), ("evaluate-only", "AlpacaEval instructions")):
        seen = [base.read((Turn("user", query.text),)) for query in corpus.queries if query.use == use]
        began = time.perf_counter()
        sizes = np.array([len(pack(each)) for each in seen])
        micros = (time.perf_counter() - began) / max(len(seen), 1) * 1e6
        parts.append(
            f"| {name} | {len(seen)} | {sizes.mean():.0f} | {np.median(sizes):.0f} | {np.quantile(sizes, 0.95):.0f} "
            f"| {micros:.0f} |"
        )
    head = ["| prompts | count | mean bytes | median | 95 % | µs to pack one |", "|---|---|---|---|---|---|"]
    return "\n".join([*head, *parts])


def page(corpus: Corpus, tables: dict[str, list[str]], draws: int) -> str:
    """The page docs/measured/learning.md."""
    pairs = "; ".join(f"{weak} and {strong}" for weak, strong in PAIRS[GROUP])
    parts = [
        "# Learning from the traffic, measured",
        "",
        "Made by `scripts/bench_learning --out docs/measured/learning.md`. [Learning](../how-to/learning.md) says "
        "how to use it.",
        "",
        *TRUST,
        "",
        "## What is simulated",
        "",
        (__doc__ or "").split("\n\n", 1)[1].strip(),
        "",
        f"Pairs: {pairs}. Each figure is the mean over {len(PAIRS[GROUP])} pairs and {draws} order(s) of the traffic, "
        "with the mean bounds of the 95 % bootstrap intervals; the later slice is what comes after the first "
        f"{max(SIZES)} queries, the same for all sizes. Of the labelled requests 70 % were duelled and 30 % rated; the "
        "command learns from the first three quarters of them and evaluates itself on the rest, by the same noisy "
        "labels. *Refitted from true grades* shows what as many perfect labels of both tiers would have taught.",
    ]
    for name, lines in tables.items():
        parts += ["", f"## Duels {name}", "", *lines]
    parts += [
        "",
        "## What it costs to keep",
        "",
        sizes_of_rows(corpus),
        "",
        "In the database a row takes some 60 bytes more, including its index. With `keep_share = 0.05`, a million "
        "requests a day make about 25 MB a day, and 2.3 GB in the 90 days of `keep_days`.",
        "",
    ]
    return "\n".join(parts)


def base_of(corpus: Corpus, directory: Path | None) -> DifficultyModel:
    """A base that has not seen the traffic, kept in a directory where one is given."""
    if directory is not None and (directory / artifact.MANIFEST).exists():
        return artifact.load(directory)
    say("fitting a base that has not seen the traffic")
    base = fit_model(corpus.where(np.array([group_of(query.source) != GROUP for query in corpus.queries])))
    if directory is not None:
        artifact.save(base, directory, {})
    return base


def say(line: str) -> None:
    """Write a line at once."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def main() -> None:
    """Measure, and print or write the page."""
    parser = argparse.ArgumentParser(prog="scripts/bench_learning", description=__doc__)
    parser.add_argument("--data", type=Path, default=os.environ.get("TIERWISE_BENCH_OUTCOMES", DEFAULT))
    parser.add_argument("--draws", type=int, default=3, help="orders of the traffic")
    parser.add_argument("--base", type=Path, help="directory for the base, to be fitted once only")
    parser.add_argument("--out", type=Path, help="file for the page; default: print it")
    options = parser.parse_args()
    try:
        corpus = read(Path(options.data))
    except CorpusMissing as error:
        sys.exit(f"{error}; pass --data DIR")
    base = base_of(corpus, options.base)
    found: dict[str, dict[int, list[Run]]] = {}
    for name, has_judge in (("without a judge", False), ("with a judge", True)):
        found[name] = {}
        for size in SIZES:
            found[name][size] = []
            for pair in PAIRS[GROUP]:
                for seed in range(options.draws):
                    traffic = traffic_of(corpus, base, pair, seed)
                    found[name][size].append(run(traffic, base, size, seed, has_judge=has_judge))
            say(f"{name}, {size} labels")
            say("\n".join(table({size: found[name][size]})))
    text = page(corpus, {name: table(by_size) for name, by_size in found.items()}, options.draws)
    if options.out is None:
        sys.stdout.write(text)
    else:
        options.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
