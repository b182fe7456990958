"""The first table of docs/measured/routing-quality.md: every bar with the figure found for it. Training only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from classifier.model import DifficultyModel
from classifier.training import metrics, studies, trials
from classifier.training.trials import Trial


@dataclass(frozen=True)
class Bar:
    """One row of the first table."""

    measure: str
    figure: str
    wanted: str
    is_met: bool | None  # None: no bar was set

    def __str__(self) -> str:
        verdict = {True: "met", False: "**not met**", None: "no bar"}[self.is_met]
        return f"| {self.measure} | {self.figure} | {self.wanted} | {verdict} |"


def of_ranking(known: Sequence[Trial], need_of_baseline: Mapping[int, studies.Baseline], where: str) -> list[Bar]:
    """Ranking on known kinds of question, beside length and what the pair's own labels teach TF-IDF out of fold."""
    need = trials.mean_over(known, trials.need_auroc("classifier"))
    length = trials.mean_over(known, trials.need_auroc("length only"))
    baseline = trials.mean_over(
        known, lambda trial, rows: metrics.auroc(trial.need[rows], need_of_baseline[id(trial)].quantiles[rows])
    )
    paired = trials.mean_over(
        known,
        lambda trial, rows: (
            metrics.auroc(trial.need[rows], trial.rankings["classifier"][rows])
            - metrics.auroc(trial.need[rows], need_of_baseline[id(trial)].quantiles[rows])
        ),
    )
    return [
        Bar(
            f"AUROC of need, held-out queries, mean of {where}",
            f"{need}; length {length}",
            ">= .64",
            need.value >= 0.64,
        ),
        Bar(
            "the same, paired over TF-IDF + logistic regression",
            f"{paired} (it has {baseline})",
            ">= +.02",
            paired.value >= 0.02,
        ),
    ]


def of_tasks(tried: Sequence[Trial]) -> Bar:
    """Ranking on whole tasks that the model has not seen."""
    need, length = (trials.mean_over(tried, trials.need_auroc(name)) for name in ("classifier", "length only"))
    return Bar("AUROC of need, whole unseen tasks", f"{need}; length {length}", ">= .62", need.value >= 0.62)


def on_new_sources(unseen: Sequence[studies.NewSource], adapted: Sequence[studies.Adaptation]) -> list[Bar]:
    """Without labels, with 50, with 1,500; the exam questions stand for MMLU, which is kept aside."""
    exam = next(each for each in unseen if each.group == "mmlu_pro")
    return [
        of_labels(adapted, "exam", ">= .66 on the RouteLLM pair, bounds above length"),
        *of_no_labels(exam, "exam"),
        *of_few_labels(unseen),
    ]


def of_labels(adapted: Sequence[studies.Adaptation], source: str, wanted: str) -> Bar:
    """What labels of a new source make of the ranking, drawn several times."""
    gap = float(np.mean([each.apgr.value for each in adapted]))
    by_length = float(np.mean([each.apgr_by_length for each in adapted]))
    by_tfidf = float(np.mean([each.apgr_of_tfidf for each in adapted]))
    lowest = min(each.apgr.low for each in adapted)
    return Bar(
        f"APGR with {adapted[0].labels:,} labels of a new source ({source}), {len(adapted)} draws",
        f"{gap:.3f}, lowest bound {lowest:.3f}; TF-IDF {by_tfidf:.3f}, length {by_length:.3f}",
        wanted,
        gap >= 0.66 and lowest > by_length,
    )


def of_no_labels(new: studies.NewSource, source: str) -> list[Bar]:
    """Ranking on a new source without a label."""
    return [
        Bar(
            f"need AUROC on a new source without labels ({source})",
            f"{new.need}; length {new.need_by_length}",
            "above length",
            new.need.value > new.need_by_length.value,
        ),
        Bar(
            f"APGR on a new source without labels ({source})",
            f"{new.apgr}; length {new.apgr_by_length}",
            ">= .57",
            new.apgr.value >= 0.57,
        ),
    ]


def of_few_labels(unseen: Sequence[studies.NewSource]) -> list[Bar]:
    """Calibration on new sources with 50 labels and with none."""
    with_50 = [value for each in unseen for value in each.ece_50]
    without = [value for each in unseen for value in each.ece]
    of_perfect = [value for each in unseen for value in each.ece_50_of_perfect]
    covered = float(np.mean([each.covered for each in unseen]))
    return [
        Bar(
            "ECE of p_fast on a new source with 50 labels",
            f"mean {np.mean(with_50):.3f}, worst {max(with_50):.3f}; {np.mean(of_perfect):.3f} if forecasts were true",
            "<= .07, worst <= .12",
            float(np.mean(with_50)) <= 0.07 and max(with_50) <= 0.12,
        ),
        Bar(
            "ECE of p_fast on a new source without labels",
            f"mean {np.mean(without):.3f}, worst {max(without):.3f}; the interval covers the error in {covered:.0%}",
            "reported, covered",
            covered >= 0.9,
        ),
    ]


def of_calibration(tried: Sequence[Trial]) -> Bar:
    """Pooled over all pairs, each query by a model that has not seen it."""
    ece, brier = _calibration_of(tried)
    return Bar("ECE of p_fast in distribution, pooled", f"{ece:.3f}, Brier {brier:.3f}", "<= .03", ece <= 0.03)


def of_calibration_on_tasks(tried: Sequence[Trial]) -> Bar:
    """The same on whole tasks that the model has not seen; no bar was set."""
    ece, brier = _calibration_of(tried)
    return Bar("the same, whole unseen tasks", f"{ece:.3f}, Brier {brier:.3f}", "reported", None)


def _calibration_of(tried: Sequence[Trial]) -> tuple[float, float]:
    predicted, actual = (trials.pool(tried, name) for name in ("p_fast", "weak"))
    return metrics.ece(predicted, actual), metrics.brier(predicted, actual)


def of_placing(placed: dict[str, dict[int, tuple[float, float]]]) -> list[Bar]:
    """Mean absolute error of accuracy over groups and held models."""
    by_ability, by_mean = (
        {count: float(np.mean([each[count][at] for each in placed.values()])) for count in (10, 25, 50, 100)}
        for at in (0, 1)
    )
    listed = ", ".join(f"{count}: {by_ability[count]:.3f} (mean {by_mean[count]:.3f})" for count in by_ability)
    return [
        Bar(
            "placing a new model by graded queries",
            listed,
            "<= .05 at 50, better than the mean at 25",
            by_ability[50] <= 0.05 and by_ability[25] < by_mean[25],
        )
    ]


def of_flips(shares: dict[str, dict[str, list[float]]]) -> list[Bar]:
    """Decisions changed, in per cent of all texts at the top 10, 30, 50 % threshold."""
    every = np.array([list(each.values()) for each in shares.values()]) * 100
    means, worst = every.mean(axis=(0, 1)), every.max(axis=(0, 1))
    known = max(
        max(each[name])
        for each in shares.values()
        for name in ("lower case", "upper case", "known prefix", "known suffix")
    )
    return [
        Bar(
            "flips, mean over rewrites",
            " / ".join(f"{value:.1f}" for value in means),
            "<= 1.5 / 3 / 4 %",
            bool(np.all(means <= (1.5, 3, 4))),
        ),
        Bar("flips, case and known wording", f"{known:.1%}", "0", known == 0),
        Bar(
            "flips, worst rewrite",
            " / ".join(f"{value:.1f}" for value in worst),
            "<= 5 / 12 / 15 %",
            bool(np.all(worst <= (5, 12, 15))),
        ),
    ]


def of_cost(model: DifficultyModel, texts: Sequence[str]) -> list[Bar]:
    """CPU time, memory, loading."""
    times = studies.measure_speed(model, texts)
    megabytes, seconds = studies.footprint()
    return [
        Bar(
            "CPU ms per estimate at 20 / 200 / 1,000 tokens, median of the quietest round (best)",
            " / ".join(f"{median:.3f} ({best:.3f})" for median, best in times.values()),
            "<= .06 / .12 / .30",
            all(median <= bar for (median, _), bar in zip(times.values(), (0.06, 0.12, 0.30), strict=True)),
        ),
        Bar(
            "memory added, load time",
            f"{megabytes:.0f} MB, {seconds:.2f} s",
            "<= 60 MB, <= 0.3 s",
            megabytes <= 60 and seconds <= 0.3,
        ),
    ]
