"""The first table of docs/routing-quality.md: every bar with the figure found for it. Training only."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from classifier import metrics, studies, trials
from classifier.model import DifficultyModel
from classifier.trials import HEADLINE, Trial


@dataclass(frozen=True)
class Bar:
    """One row of the first table."""

    measure: str
    found: str
    wanted: str
    is_met: bool

    def __str__(self) -> str:
        return f"| {self.measure} | {self.found} | {self.wanted} | {'met' if self.is_met else '**not met**'} |"


def headline(tried: Sequence[Trial], need_of_baseline: dict[int, npt.NDArray[np.float64]]) -> list[Bar]:
    """Ranking on known kinds of question and on unseen tasks."""
    known = [trial for trial in tried if trial.group in HEADLINE]
    need = trials.mean_over(known, trials.need_auroc("classifier"))
    length = trials.mean_over(known, trials.need_auroc("length only"))
    baseline = trials.mean_over(
        known, lambda trial, rows: metrics.auroc(trial.need[rows], need_of_baseline[id(trial)][rows])
    )
    paired = trials.mean_over(
        known,
        lambda trial, rows: (
            metrics.auroc(trial.need[rows], trial.gain[rows])
            - metrics.auroc(trial.need[rows], need_of_baseline[id(trial)][rows])
        ),
    )
    tasks = trials.mean_over([trial for trial in tried if trial.group == "rgym"], trials.need_auroc("classifier"))
    by_length = trials.mean_over([trial for trial in tried if trial.group == "rgym"], trials.need_auroc("length only"))
    return [
        Bar(
            "AUROC of need, held-out queries, mean of code, maths, exam",
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
        Bar("AUROC of need, whole unseen tasks", f"{tasks}; length {by_length}", ">= .62", tasks.value >= 0.62),
    ]


def on_new_sources(unseen: Sequence[studies.NewSource], adapted: Sequence[studies.Adaptation]) -> list[Bar]:
    """Without labels, with 50, with 1,500; the exam questions stand for MMLU, which is kept aside."""
    exam = next(each for each in unseen if each.group == "mmlu_pro")
    gap = float(np.mean([each.apgr.value for each in adapted]))
    by_length = float(np.mean([each.apgr_by_length for each in adapted]))
    by_tfidf = float(np.mean([each.apgr_of_tfidf for each in adapted]))
    lowest = min(each.apgr.low for each in adapted)
    with_50 = [value for each in unseen for value in each.ece_50]
    without = [value for each in unseen for value in each.ece]
    covered = float(np.mean([each.covered for each in unseen]))
    return [
        Bar(
            f"APGR with 1,500 labels of a new source (exam), {len(adapted)} draws",
            f"{gap:.3f}, lowest bound {lowest:.3f}; TF-IDF {by_tfidf:.3f}, length {by_length:.3f}",
            ">= .66 on the RouteLLM pair, bounds above length",
            gap >= 0.66 and lowest > by_length,
        ),
        Bar(
            "need AUROC on a new source without labels (exam)",
            f"{exam.need}; length {exam.need_by_length}",
            "above length",
            exam.need.value > exam.need_by_length.value,
        ),
        Bar(
            "APGR on a new source without labels (exam)",
            f"{exam.apgr}; length {exam.apgr_by_length}",
            ">= .57",
            exam.apgr.value >= 0.57,
        ),
        Bar(
            "ECE of p_fast on a new source with 50 labels",
            f"mean {np.mean(with_50):.3f}, worst {max(with_50):.3f}",
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
    said, true = (np.concatenate([getattr(trial, name) for trial in tried]) for name in ("p_fast", "weak"))
    found = metrics.ece(said, true)
    return Bar(
        "ECE of p_fast in distribution, pooled",
        f"{found:.3f}, Brier {metrics.brier(said, true):.3f}",
        "<= .03",
        found <= 0.03,
    )


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


def of_flips(found: dict[str, dict[str, list[float]]]) -> list[Bar]:
    """Decisions changed, in per cent of all texts at the top 10, 30, 50 % threshold."""
    every = np.array([list(each.values()) for each in found.values()]) * 100
    means, worst = every.mean(axis=(0, 1)), every.max(axis=(0, 1))
    known = max(
        max(each[name])
        for each in found.values()
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
    times = studies.speed(model, texts)
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
