"""`scripts/train`: fits the shipped artefact from recorded outcomes, the same bytes each time."""

import argparse
import hashlib
import logging
import os
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from classifier import artifact
from classifier.model import DifficultyModel, Parameters
from classifier.training import corpus, recipe
from classifier.training.consumer_corpus import TRAIN, read_queries
from classifier.training.natural_mix import quantiles_of, weights_of

log = logging.getLogger("classifier.training.train")
RECIPE_VERSION = "6"
REFERENCE_SCORES = 2_000


def fit(rows: corpus.Corpus, settings: recipe.RecipeSettings | None = None) -> DifficultyModel:
    """Fit on the training split, without the held-out tasks."""
    chosen = rows.of(split="train", holdout=False)
    parameters, abilities = recipe.fit(chosen, settings)
    model = DifficultyModel(parameters, version="", abilities=abilities)
    written = [query for query in read_queries() if query.split == TRAIN]
    estimates, weights = [model.estimate(query.turns) for query in written], weights_of(written)
    # Text that tells nothing is taken for average traffic, neither easy nor hard.
    average = np.average([(each.p_fast, each.p_reasoning) for each in estimates], axis=0, weights=weights)
    # What stands for traffic until there is some: consumer queries in their natural mix.
    scores = quantiles_of(np.array([each.score for each in estimates]), weights, REFERENCE_SCORES)
    parameters = replace(
        parameters,
        prior_logits=np.log(average / (1 - average)).astype(np.float32),
        reference_scores=scores.astype(np.float32),
    )
    return DifficultyModel(parameters, version=_version(parameters), abilities=abilities)


def _version(parameters: Parameters) -> str:
    """The recipe's version and a digest of the numbers, so that two artefacts never share a name."""
    digest = hashlib.sha256()
    for name, value in sorted(artifact.arrays_of(parameters).items()):
        digest.update(name.encode() + np.ascontiguousarray(value).tobytes())
    return f"{RECIPE_VERSION}-{digest.hexdigest()[:8]}"


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
