"""`scripts/train`: fits the shipped artefact from recorded outcomes, the same bytes each time."""

import argparse
import hashlib
import logging
import os
import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from classifier import artifact
from classifier.model import DifficultyModel, Parameters
from classifier.training import corpus, recipe
from classifier.types import Turn

log = logging.getLogger("classifier.training.train")
RECIPE_VERSION = "4"


def fit(rows: corpus.Corpus, settings: recipe.RecipeSettings | None = None) -> DifficultyModel:
    """Fit on the training split, without the held-out tasks."""
    chosen = rows.of(split="train", holdout=False)
    parameters, abilities = recipe.fit(chosen, settings)
    queries = _reference_queries(chosen)
    model = DifficultyModel(parameters, version="", abilities=abilities)
    # Text that tells nothing is taken for average traffic, neither easy nor hard.
    familiar = [model.estimate([Turn("user", query.text)]) for query in queries if query.text.isascii()]
    average = np.mean([(estimate.p_fast, estimate.p_reasoning) for estimate in familiar], axis=0)
    parameters = replace(parameters, prior_logits=np.log(average / (1 - average)).astype(np.float32))
    model = DifficultyModel(parameters, version="", abilities=abilities)
    scores = [model.estimate([Turn("user", query.text)]).score for query in queries]
    parameters = replace(parameters, reference_scores=np.sort(np.array(scores, np.float32)))
    return DifficultyModel(parameters, version=_version(parameters), abilities=abilities)


def _version(parameters: Parameters) -> str:
    """The recipe's version and a digest of the numbers, so that two artefacts never share a name."""
    digest = hashlib.sha256()
    for name, value in sorted(asdict(parameters).items()):
        digest.update(name.encode() + np.ascontiguousarray(value).tobytes())
    return f"{RECIPE_VERSION}-{digest.hexdigest()[:8]}"


def _reference_queries(rows: corpus.Corpus) -> list[corpus.Query]:
    """What stands for traffic until there is some: consumer prompts, with a fifth of exam and code questions."""
    consumer = [query for query in rows.queries if query.use == "lengths-only"]
    graded = [query for query in rows.queries if query.source in ("mmlu_pro", "zeroeval_crux", "zeroeval_math-l5")]
    return consumer + graded[:: max(1, len(graded) // max(1, len(consumer) // 4))]


def main(arguments: list[str] | None = None) -> int:
    """Command line of `scripts/train`."""
    parser = argparse.ArgumentParser(prog="scripts/train", description=__doc__)
    default = os.environ.get("TIERWISE_OUTCOMES", str(corpus.DEFAULT_DIRECTORY))
    parser.add_argument(
        "--data", type=Path, default=Path(default), help="directory of queries.parquet, outcomes.parquet"
    )
    parser.add_argument("--out", type=Path, default=artifact.SHIPPED, help="where the artefact goes")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        rows = corpus.read(options.data)
    except corpus.CorpusMissing as error:
        log.error("%s", error)
        return 2
    model = fit(rows)
    artifact.save(model, options.out, {"training_data_sha256": rows.digest, "recipe": RECIPE_VERSION})
    size = sum(path.stat().st_size for path in options.out.iterdir())
    digest = hashlib.sha256((options.out / artifact.NUMBERS).read_bytes()).hexdigest()
    log.info("%s: version %s, %.1f MB, numbers %s", options.out, model.version, size / 1e6, digest[:12])
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
