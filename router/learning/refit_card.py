"""The model card of a classifier refitted from the books: data, sources and their bias, figures beside all controls."""

from classifier.training.holdout import ADAPTED, BASE, CalibrationCheck, HoldoutVerdict
from classifier.types import Interval
from router.learning.labels import TRUST
from router.learning.refit import Refit, day_of

ADVICE = {
    HoldoutVerdict.BETTER: "On the later slice it tells the gain better than its base, beyond chance.",
    HoldoutVerdict.NO_DIFFERENCE: "On the later slice no difference to its base can be shown.",
    HoldoutVerdict.WORSE: (
        "On the later slice it tells the gain **worse** than its base, beyond chance. Do not activate it."
    ),
    HoldoutVerdict.TOO_LITTLE: "**Not enough evidence** to say whether it is better than its base.",
}


def card(refit: Refit, base_version: str, models: tuple[str, str]) -> str:
    """Write the card in Markdown; intervals are 95 %, by bootstrap over conversations that read alike."""
    figures, (first, cut, last) = refit.figures, refit.span_us
    lines = [
        f"# Model card: {refit.adapted.model.version}",
        "",
        f"HoldoutVerdict: **{figures.verdict}**. {ADVICE[figures.verdict]}",
        "",
        f"Method: {refit.adapted.method}. Base: {base_version}. Fast tier: {models[0]}; reasoning tier: {models[1]}.",
        "",
        "## Data",
        f"{refit.labels} labelled requests of this service's own traffic (hashed features, no text), "
        f"SHA-256 `{refit.digest}`. Learnt from {refit.taught} from {day_of(first)} to {day_of(cut)} UTC, "
        f"judged on the {refit.labels - refit.taught} after that, to {day_of(last)}.",
        "",
        "| source of labels | requests | weight of one | bias |",
        "|---|---|---|---|",
    ]
    lines += [f"| {s} | {count} | {TRUST[s].weight} | {TRUST[s].bias} |" for s, count in refit.sources.items()]
    lines += ["", "## Figures on the later slice, and controls", *_rankings(refit), ""]
    lines += ["| model | tier | labels | ECE | noise floor at this size | Brier |", "|---|---|---|---|---|---|"]
    for name, sides in figures.calibrations.items():
        lines += [_calibration(name, tier, side) for tier, side in zip(("fast", "reasoning"), sides, strict=True)]
    lines += [
        "",
        "## Limits",
        "The later slice is judged by the same kinds of labels, with the same bias. It speaks of these two models and "
        "of traffic like this one. With fewer than 1,500 labels the base's ranking stays and its calibration is moved.",
        "",
    ]
    return "\n".join(lines)


def _rankings(refit: Refit) -> list[str]:
    figures = refit.figures
    if not figures.pairs:
        return ["No later request with both tiers known: not enough evidence."]
    fast, reasoning = figures.quality
    lines = [
        f"{figures.pairs} requests with both tiers known; reasoning was needed on {figures.needed}. Always fast: "
        f"{fast:.3f} right; always reasoning: {reasoning:.3f}.",
        "",
        "| ranking | AUROC of need | APGR |",
        "|---|---|---|",
        *(
            f"| {name} | {_format_interval(r.need)} | {_format_interval(r.apgr)} |"
            for name, r in figures.rankings.items()
        ),
    ]
    if figures.difference is not None:
        lines += [
            "",
            f"Squared error of the gain, {ADAPTED} less {BASE}: {_format_interval(figures.difference, 4)} "
            "(below 0 is better).",
        ]
    return lines


def _calibration(name: str, tier: str, side: CalibrationCheck | None) -> str:
    if side is None:
        return f"| {name} | {tier} | 0 | - | - | - |"
    return f"| {name} | {tier} | {side.labels} | {side.ece} | {side.floor:.3f} | {side.brier:.3f} |"


def _format_interval(interval: Interval, digits: int = 3) -> str:
    if interval.value != interval.value:
        return "not enough evidence"
    return f"{interval.value:.{digits}f} [{interval.low:.{digits}f}, {interval.high:.{digits}f}]"
