"""Writes the model card of an adapted artefact: what it saw, how it did out of fold, beside its controls."""

import numpy as np
import numpy.typing as npt

from classifier.conversation import summarise
from classifier.training import controls, metrics
from classifier.training.adapt import Adapted
from classifier.training.labels import GradedConversation
from classifier.types import Interval

Array = npt.NDArray[np.float64]


def model_card(adapted: Adapted, labels: list[GradedConversation], labels_sha256: str, base_version: str) -> str:
    """Markdown; figures are out of fold, intervals 95 % bootstrap over labels."""
    weak = np.array([label.fast for label in labels])
    strong = np.array([label.reasoning for label in labels])
    texts = [summarise(label.turns).text for label in labels]
    gain = adapted.held_out[:, 1] - adapted.held_out[:, 0]
    need = (weak < 0.5) & (strong >= 0.5)
    rankings = {
        "this model": gain,
        "length only": controls.length(texts),
        "cost-matched shuffled": controls.shuffled(gain),
        "random": controls.random(len(labels)),
        "oracle": controls.oracle(weak, strong),
    }
    clusters = [str(row) for row in range(len(labels))]
    lines = [
        f"# Model card: {adapted.model.version}",
        "",
        f"Method: {adapted.method}. Base: {base_version}.",
        "",
        "## Data",
        f"{len(labels)} labelled conversations, file SHA-256 `{labels_sha256}`. "
        f"Fast tier right {weak.mean():.1%}, reasoning tier {strong.mean():.1%}, reasoning needed {need.mean():.1%}; "
        f"{np.mean([not text.isascii() for text in texts]):.0%} of the texts hold letters beyond ASCII.",
        "",
        "## Splits",
        "Five folds; the same text is never on both sides. Every figure below is out of fold. The method and its "
        "strength were chosen on the same folds, which flatters the figures a little.",
        "",
        "## Figures and controls",
        "| ranking | AUROC of need | APGR |",
        "|---|---|---|",
    ]
    for name, score in rankings.items():
        lines.append(f"| {name} | {_need(score, need, clusters)} | {_apgr(score, weak, strong, clusters)} |")
    lines += [
        f"| always fast / always reasoning | quality {weak.mean():.3f} / {strong.mean():.3f} | |",
        "",
        "| tier | ECE | noise floor at this size | Brier |",
        "|---|---|---|---|",
    ]
    for tier, (name, right) in enumerate((("fast", weak), ("reasoning", strong))):
        chance = adapted.held_out[:, tier]
        values = metrics.ece(chance, right), metrics.ece_floor(chance), metrics.brier(chance, right)
        lines.append(f"| {name} | {values[0]:.3f} | {values[1]:.3f} | {values[2]:.3f} |")
    lines += [
        "",
        "## Limits",
        "Speaks of the two models that were graded, on traffic like these labels; elsewhere only the interval of the "
        "estimate is honest. Labels by another model inherit that model's taste. Fewer than 200 labels place "
        "the models on the base's scale and set the calibration; the ranking is then the base's for such models.",
        "",
    ]
    return "\n".join(lines)


def _need(score: Array, need: npt.NDArray[np.bool_], clusters: list[str]) -> Interval:
    return metrics.bootstrap(lambda rows: metrics.auroc(need[rows], score[rows]), clusters)


def _apgr(score: Array, weak: Array, strong: Array, clusters: list[str]) -> Interval:
    return metrics.bootstrap(lambda rows: metrics.apgr(score[rows], weak[rows], strong[rows]), clusters)
