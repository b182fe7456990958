"""`scripts/evaluate`: measures everything and writes docs/measured/routing-quality.md with its charts."""

import argparse
import logging
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from classifier import artifact
from classifier.cues import answer_type_of, read_cues
from classifier.instruction import split
from classifier.model import DifficultyModel
from classifier.training import bars, corpus, evaluate, metrics, studies, trials
from classifier.training.trials import HEADLINE, Trial
from classifier.types import Turn
from scripts.benchmarks.charts import Line, chart
from scripts.benchmarks.pages import RECORDED, put, put_row
from scripts.benchmarks.routing_quality import chat_outcomes, choices_on_train, consumer, learning_curve
from scripts.benchmarks.routing_quality.findings import INTRODUCTION, TRIED

log = logging.getLogger("scripts.benchmarks.routing_quality.report")
DRAWS = 5
CONSUMER = "what people ask"


def by_answer_type(tried: Sequence[Trial]) -> list[str]:
    """Need AUROC and calibration by the kind of answer that the classifier sees."""
    lines = ["| answer type | n | need AUROC | mean p_fast | true | ECE |", "|---|---|---|---|---|---|"]
    kinds = [[answer_type_of(read_cues(split(text).instruction)).value for text in trial.texts] for trial in tried]
    for kind in sorted({each for of_trial in kinds for each in of_trial}):
        at = [np.array([each == kind for each in of_trial]) for of_trial in kinds]
        weak, said = (
            np.concatenate([getattr(trial, name)[rows] for trial, rows in zip(tried, at, strict=True)])
            for name in ("weak", "p_fast")
        )
        enough = [(trial, rows) for trial, rows in zip(tried, at, strict=True) if trial.need[rows].sum() >= 20]
        ranked = [metrics.auroc(trial.need[rows], trial.rankings["classifier"][rows]) for trial, rows in enough]
        need = f"{np.mean(ranked):.3f}" if ranked else "too few"
        figures = " | ".join(f"{each:.3f}" for each in (said.mean(), weak.mean(), metrics.ece(said, weak)))
        lines.append(f"| {kind} | {len(weak)} | {need} | {figures} |")
    return lines


def by_language(rows: corpus.Corpus, model: DifficultyModel) -> list[str]:
    """No outcomes were recorded for other languages; what can be shown is that they do not look easy."""
    consumer = _consumer_prompts(rows)
    groups = {
        "mostly ASCII": [text for text in consumer if _beyond(text) <= 0.05],
        "Latin with accents": [text for text in consumer if 0.05 < _beyond(text) <= 0.2],
        "other scripts": [text for text in consumer if _beyond(text) > 0.2],
    }
    lines = ["| prompts | n | p_fast | score | uncertainty |", "|---|---|---|---|---|"]
    for name, texts in groups.items():
        said = [model.estimate([Turn("user", text)]) for text in texts]
        if said:
            means = (np.mean([getattr(each, field) for each in said]) for field in ("p_fast", "score", "uncertainty"))
            lines.append(f"| {name} | {len(said)} | " + " | ".join(f"{value:.3f}" for value in means) + " |")
    return lines


def _consumer_prompts(rows: corpus.Corpus) -> list[str]:
    return [query.text for query in rows.queries if query.use == "lengths-only"]


def _beyond(text: str) -> float:
    return sum(ord(letter) > 127 for letter in text) / max(1, len(text))


def draw(tried: Sequence[Trial], directory: Path) -> list[str]:
    """Write the charts; return the Markdown that shows them."""
    directory.mkdir(parents=True, exist_ok=True)
    shown = []
    for group in (*HEADLINE, "rgym"):
        trial = next(each for each in tried if each.group == group)
        lines = []
        for ranking, score in trial.rankings.items():
            share, quality = metrics.curve(score, trial.weak, trial.strong)
            lines.append(Line(ranking, share.tolist(), quality.tolist(), is_dashed=ranking != "classifier"))
        name = f"curve-{group}.svg"
        title = f"{group}: {trial.pair[0]} → {trial.pair[1]}"
        (directory / name).write_text(chart(title, "share sent to the strong model", "share right", lines))
        shown.append(f"![Cost and quality, {group}](routing-quality/{name})")
    lines = [Line("perfect", [0, 1], [0, 1], is_dashed=True)]
    for group in (*HEADLINE, "rgym"):
        members = [trial for trial in tried if trial.group == group]
        said, true = (trials.pool(members, name) for name in ("p_fast", "weak"))
        parts = np.array_split(np.argsort(said, kind="stable"), 10)
        lines.append(
            Line(group, [float(said[part].mean()) for part in parts], [float(true[part].mean()) for part in parts])
        )
    (directory / "reliability.svg").write_text(chart("p_fast: said and true", "said", "true", lines))
    return [*shown, "![Reliability of p_fast](routing-quality/reliability.svg)"]


def measure(rows: corpus.Corpus, model: DifficultyModel, docs: Path) -> str:
    """All of it, as the text of the page."""
    graded = rows.of(use="train")
    log.info("five cross-fits of the whole recipe, without whole tasks and by query")
    tried = trials.trials_of(graded, *trials.cross_fit(graded, studies.fit_model))
    by_query = trials.trials_of(graded, *trials.cross_fit(graded, studies.fit_model, by_query=True))
    baseline = {id(trial): studies.with_baseline(trial) for trial in tried if trial.group in HEADLINE}
    unseen, adapted = [], []
    for group in HEADLINE:
        log.info("without %s", group)
        found, base = studies.without_source(graded, group)
        unseen.append(found)
        if group == "mmlu_pro":
            trial = trials.try_pair(graded, group, trials.PAIRS[group][1], [base], [0] * len(graded.queries))
            adapted = [studies.adapt_to(trial, base, 1500, seed) for seed in range(DRAWS)]
    log.info("placing models, rewriting texts")
    placed, rewritten = studies.placement_errors(graded), studies.measure_flips(graded, model)
    found_bars = [
        *bars.of_ranking([trial for trial in tried if trial.group in HEADLINE], baseline, "code, maths, exam"),
        bars.of_tasks([trial for trial in tried if trial.group == "rgym"]),
        *bars.on_new_sources(unseen, adapted),
        bars.of_calibration(by_query),
        bars.of_calibration_on_tasks([trial for trial in tried if trial.group == "rgym"]),
        *bars.of_placing(placed),
        *bars.of_flips(rewritten),
        *bars.of_cost(model, _consumer_prompts(rows)),
    ]
    log.info("\n".join(map(str, found_bars)))
    directory = docs / "routing-quality"
    held_back = evaluate.leave_out_fitted(graded)
    sections = [
        INTRODUCTION.format(version=model.version),
        "## Figures and bars\n",
        "\n".join(["| measure | found | bar | |", "|---|---|---|---|", *map(str, found_bars)]),
        "\n## What people ask\n",
        "\n".join((f"<!-- {CONSUMER} -->", consumer_section(model, rows), "<!-- end -->")),
        "\n## Cost against quality\n",
        "\n\n".join(draw(tried, directory)),
        "\n## Every pair, with controls (cross-fitted)\n",
        "\n".join(evaluate.table(tried)),
        "\n## Other questions of the same tasks were taught (cross-fitted by query)\n",
        "\n".join(evaluate.table([trial for trial in by_query if trial.group == "rgym"])),
        "\n## Scores of several folds are not comparable\n",
        "\n".join(_of_folds(tried, baseline)),
        "\n## The shipped artefact on the development split and the held-out tasks\n",
        "\n".join(evaluate.table(trials.trials_of(held_back, [model], [0] * len(held_back.queries)))),
        "\n## By answer type\n",
        "\n".join(by_answer_type(tried)),
        "\n## By language\n",
        "\n".join(by_language(rows, model)),
        "\n## Sources never seen\n",
        "\n".join(_of_sources(unseen)),
        "\n## 1,500 labels of an unseen source, draw by draw\n",
        "\n".join(_of_draws(adapted)),
        "\n## Rewrites, per cent of decisions changed at the top 10 / 30 / 50 %\n",
        "\n".join(_of_rewrites(rewritten)),
        "\n" + TRIED,
    ]
    return "\n".join(sections)


def consumer_section(model: DifficultyModel, rows: corpus.Corpus) -> str:
    """The written queries kept apart, AlpacaEval, and recorded outcomes of chat prompts."""
    chat = RECORDED / "consumer"
    parts = [consumer.INTRODUCTION, "\n".join(consumer.measure(model, chat / "prompts.parquet"))]
    parts += [chat_outcomes.INTRODUCTION, "\n".join(chat_outcomes.measure(model, rows, chat))]
    return "\n\n".join(parts)


def _of_folds(tried: Sequence[Trial], baseline: Mapping[int, studies.Baseline]) -> list[str]:
    """Need AUROC over all folds at once, and within folds; the level of the other folds alone knows nothing."""
    lines = [
        "| group | pair | classifier, in folds | over all | TF-IDF, in folds | over all | level alone, over all |",
        "|---|---|---|---|---|---|---|",
    ]
    for trial in tried:
        level = np.array([trial.need[trial.judge != each].mean() for each in trial.judge])
        scores = [trial.rankings["classifier"], trial.gain]
        scores += [baseline[id(trial)].quantiles, baseline[id(trial)].scores] if id(trial) in baseline else []
        cells = [f"{metrics.auroc(trial.need, score):.3f}" for score in scores] + [""] * (4 - len(scores))
        pair = " → ".join(trial.pair)
        lines.append(f"| {trial.group} | {pair} | {' | '.join(cells)} | {metrics.auroc(trial.need, level):.3f} |")
    return lines


def _of_sources(unseen: Sequence[studies.NewSource]) -> list[str]:
    lines = [
        "| source | need AUROC | by length | APGR | by length | ECE per pair | with 50 labels | were forecasts true |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for each in unseen:
        eces = [
            " / ".join(f"{value:.3f}" for value in values) for values in (each.ece, each.ece_50, each.ece_50_of_perfect)
        ]
        cells = each.group, each.need, each.need_by_length, each.apgr, each.apgr_by_length, *eces
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return lines


def _of_draws(adapted: Sequence[studies.Adaptation]) -> list[str]:
    lines = ["| draw | need AUROC | APGR | TF-IDF | length | ECE | method |", "|---|---|---|---|---|---|---|"]
    for at, each in enumerate(adapted):
        controls = f"{each.apgr_of_tfidf:.3f} | {each.apgr_by_length:.3f}"
        lines.append(f"| {at} | {each.need:.3f} | {each.apgr} | {controls} | {each.ece:.3f} | {each.method} |")
    return lines


def _of_rewrites(found: dict[str, dict[str, list[float]]]) -> list[str]:
    names = list(next(iter(found.values())))
    lines = ["| rewrite | " + " | ".join(found) + " |", "|---" * (len(found) + 1) + "|"]
    return lines + [
        f"| {name} | "
        + " | ".join(" / ".join(f"{share * 100:.1f}" for share in each[name]) for each in found.values())
        + " |"
        for name in names
    ]


def main(arguments: list[str] | None = None) -> int:
    """Command line of `scripts/evaluate`."""
    parser = argparse.ArgumentParser(prog="scripts/evaluate", description=__doc__)
    default = os.environ.get("TIERWISE_OUTCOMES", str(corpus.DEFAULT_DIRECTORY))
    parser.add_argument(
        "--data", type=Path, default=Path(default), help="directory of queries.parquet, outcomes.parquet"
    )
    parser.add_argument("--docs", type=Path, default=Path("docs/measured"), help="where the page and charts go")
    parser.add_argument(
        "--only",
        choices=["cpu", "learning-curve", "consumer"],
        help="put into the page anew what an estimate costs in CPU time, memory and loading, or what people ask; "
        "or print how the ranking grows with the queries taught, and write nothing",
    )
    parser.add_argument(
        "--settle",
        action="store_true",
        help="write nothing; print what was chosen on the training split, and over what",
    )
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        rows = corpus.read(options.data)
    except corpus.CorpusMissing as error:
        log.error("%s", error)
        return 2
    if options.only == "consumer":
        put("routing-quality.md", CONSUMER, consumer_section(artifact.load(), rows))
        return 0
    if options.only == "learning-curve":
        learning_curve.draw(rows, log.info)
        return 0
    if options.only == "cpu":
        for bar in bars.of_cost(artifact.load(), _consumer_prompts(rows)):
            log.info(bar)
            put_row("routing-quality.md", bar.measure, str(bar))
        return 0
    if options.settle:
        choices_on_train.settle(rows, log.info)
        return 0
    present = {trials.group_of(query.source) for query in rows.queries}
    if lacking := sorted(trials.PAIRS.keys() - present):
        log.error("no questions of %s; on any other data use `tierwise evaluate --data`", ", ".join(lacking))
        return 2
    options.docs.mkdir(parents=True, exist_ok=True)
    (options.docs / "routing-quality.md").write_text(measure(rows, artifact.load(), options.docs), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
