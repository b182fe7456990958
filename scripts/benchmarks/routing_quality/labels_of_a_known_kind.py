"""`scripts/evaluate --settle`: labels of a new source of a kind that the base knows, simulated on the training split.

Some exam questions are hidden from the base, and with them all outcomes of the two models that are asked for. Labels
are drawn from the hidden questions, and what each way of adapting makes of them is tested on the rest of these.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from classifier.model import DifficultyModel
from classifier.rows import ReadFeatures
from classifier.training import metrics, recipe
from classifier.training.adapt import Example, adapt_to_examples, gather_outcomes, recalibrate
from classifier.training.corpus import Corpus
from classifier.training.inherited import InheritedModel
from classifier.training.ranking import as_model, mix_with_base, own_ranking
from classifier.training.trials import Pair, group_of
from classifier.types import Z95, Abilities, Turn

Array = npt.NDArray[np.float64]
Log = Callable[[str], None]
Figures = dict[str, tuple[float, float]]  # by method: APGR and AUROC of need

GROUP = "mmlu_pro"
ASKED: tuple[tuple[Pair, Pair], ...] = (
    (
        ("Mixtral-8x7B-Instruct-v0.1", "gemini-1.5-pro-002"),
        ("Meta-Llama-3_1-8B-Instruct", "gemini-1.5-pro-002"),
    ),
    (
        ("Phi-3-mini-4k-instruct", "gemini-1.5-flash-002"),
        ("Qwen1.5-72B-Chat", "Meta-Llama-3_1-70B-Instruct"),
    ),
)
# Questions hidden (of some 2,900), and labels drawn of them; the last time the kind is not known at all.
HIDDEN: tuple[tuple[int, tuple[int, ...]], ...] = ((1300, (50, 100, 200, 500, 700)), (2100, (1500,)), (9999, (1500,)))
TESTED = 580
DRAWS = 3


@dataclass(frozen=True)
class _Hidden:
    """Questions that a base never saw, with what two models made of them."""

    base: DifficultyModel
    seen: Sequence[ReadFeatures]
    weak: Array
    strong: Array


def compare(taught: Corpus, log: Log, draws: int = DRAWS) -> None:
    """Log a row for each way of adapting: APGR / need, and its difference from the ranking from labels alone."""
    for count, labels in HIDDEN:
        sources = [each for draw in range(draws) for pairs in ASKED for each in _hidden(taught, count, draw, pairs)]
        for number in labels:
            found = [_figures(each, number) for each in sources]
            log(f"\n| {number} labels, {count} questions hidden | APGR | need AUROC | APGR less own ranking's |")
            log("|---|---|---|---|")
            for name in found[0]:
                values = np.array([each.get(name, each["own ranking"]) for each in found])
                apart = values[:, 0] - np.array([each["own ranking"][0] for each in found])
                gap, need = values.mean(axis=0)
                error = Z95 * apart.std(ddof=1) / len(apart) ** 0.5
                log(f"| {name} | {gap:.3f} | {need:.3f} | {apart.mean():+.3f} ± {error:.3f} |")


def _hidden(taught: Corpus, count: int, draw: int, pairs: Sequence[Pair]) -> list[_Hidden]:
    """A base without some of the questions and without the models, and what is hidden of each pair."""
    columns = np.array([taught.column(name) for name in sorted({name for pair in pairs for name in pair})])
    exam = np.array([row for row, query in enumerate(taught.queries) if group_of(query.source) == GROUP])
    at = np.random.default_rng(draw).permutation(exam)[:count]
    scores = taught.scores.copy()
    scores[:, columns] = np.nan
    keep = np.ones(len(scores), np.bool_)
    keep[at] = False
    parameters, abilities = recipe.fit(replace(taught, scores=scores).where(keep), with_lengths=False)
    base = DifficultyModel(parameters, version="trial", abilities=abilities)
    at = at[np.isfinite(taught.scores[np.ix_(at, columns)]).all(axis=1)]
    seen = [base.read((Turn("user", taught.queries[row].text),)) for row in at]
    return [_Hidden(base, seen, *(taught.scores[at, taught.column(name)] for name in pair)) for pair in pairs]


def _figures(hidden: _Hidden, labels: int) -> Figures:
    """What each way of adapting makes of the first labels, on the last questions."""
    base, seen = hidden.base, hidden.seen[:labels]
    examples = [
        Example(each, weak, strong)
        for each, weak, strong in zip(seen, hidden.weak[:labels], hidden.strong[:labels], strict=True)
    ]
    known = gather_outcomes(examples)
    middle = Abilities(*base.parameters.reference.tolist())
    heard = InheritedModel(base, seen, Abilities())
    own = own_ranking([each.features for each in seen], known, lambda _: None)
    models = {
        "own ranking": as_model(own, seen, known, base, "trial"),
        "base, at the reference": recalibrate(base, InheritedModel(base, seen, middle), known, "trial").model,
        "base, placed": recalibrate(base, heard, known, "trial").model,
    }
    for mixture in mix_with_base(own, base, heard, known):
        name = f"mixed, {mixture.own_share:.0%} own"
        models[name] = as_model(mixture, seen, known, base, "trial")
    models["what `adapt` keeps"] = adapt_to_examples(examples, base, "trial", lambda _: None).model
    return {name: _tested(model, hidden) for name, model in models.items()}


def _tested(model: DifficultyModel, hidden: _Hidden) -> tuple[float, float]:
    judged = [model.judge(each) for each in hidden.seen[-TESTED:]]
    gain = np.array([each.p_reasoning - each.p_fast for each in judged])
    weak, strong = hidden.weak[-TESTED:], hidden.strong[-TESTED:]
    return metrics.apgr(gain, weak, strong), metrics.auroc((weak < 0.5) & (strong >= 0.5), gain)
