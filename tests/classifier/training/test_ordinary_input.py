"""What stands for the usual input of a segment without traffic is the median of ordinary consumer queries."""

import json

import numpy as np

from classifier.training.consumer_corpus import TRAIN, read_queries
from classifier.training.natural_mix import weights_of
from router.ledger.cost_factors import ORDINARY_INPUT
from router.providers.caches import BYTES_PER_TOKEN


def test_the_ordinary_input_is_that_of_the_corpus_in_its_natural_mix() -> None:
    queries = [query for query in read_queries() if query.split == TRAIN]
    bodies = [json.dumps([{"role": t.role, "content": t.text} for t in q.turns], ensure_ascii=False) for q in queries]
    tokens = np.array([len(body.encode()) // BYTES_PER_TOKEN for body in bodies])
    order = np.argsort(tokens, kind="stable")
    reached = np.cumsum(weights_of(queries)[order])
    assert tokens[order][np.searchsorted(reached, 0.5)] == ORDINARY_INPUT
