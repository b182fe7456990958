from dataclasses import replace

import numpy as np
import pytest

from classifier import artifact
from classifier.features import extract
from classifier.model import DifficultyModel
from classifier.rows import ReadFeatures
from classifier.training.design import design, folds_of
from classifier.training.recall import fit_recall, shares_known
from classifier.vocabulary import learn

SHIPPED = artifact.load()
ASKED = "a farmer has {} sheep and sells {} of them at the market before noon, how many are left on the farm?"


def test_questions_of_a_taught_template_share_their_words_and_those_of_a_new_one_do_not() -> None:
    templates = [f"{chr(97 + at) * 5} {chr(110 + at) * 4} of {{}} {chr(98 + at) * 6}" for at in range(4)]
    texts = [each.format("zz" * (1 + at)) for each in templates for at in range(10)]
    documents = [extract(text) for text in texts]
    vocabulary = learn(documents, [0] * len(texts), min_documents=1, max_rows=1000)
    whole, at = design(documents, vocabulary), np.arange(len(texts))
    every = np.ones(len(vocabulary), np.bool_)
    by_template = shares_known(whole, at, every, at // 10)
    by_query = shares_known(whole, at, every, folds_of([str(each) for each in at]))
    assert by_template.max() < by_query.min()
    recall = fit_recall(by_template, by_query)
    assert (recall.slope * by_template + recall.constant).max() < 0 < (recall.slope * by_query + recall.constant).min()


def test_without_templates_nothing_is_recalled() -> None:
    forgetful = _with_recall(slope=0.0, constant=-30.0)
    none = DifficultyModel(
        replace(SHIPPED.parameters, recalled=np.zeros((0, 3), np.float32)), version="none", abilities={}
    )
    seen = ReadFeatures(extract(ASKED.format(20, 3)), 0.0)
    assert forgetful.judge(seen).p_fast == pytest.approx(none.judge(seen).p_fast)


def test_a_recalled_template_is_spoken_of_by_its_own_columns() -> None:
    seen = ReadFeatures(extract(ASKED.format(20, 3)), 0.0)
    said = {
        constant: _with_recall(slope=0.0, constant=constant, level=5.0).judge(seen).p_fast
        for constant in (-30.0, 0.0, 30.0)
    }
    assert said[-30.0] < said[0.0] < said[30.0]


def _with_recall(*, slope: float, constant: float, level: float = 0.0) -> DifficultyModel:
    """The shipped model where every expert recalls texts with the same odds, and says `level` of them."""
    parameters = SHIPPED.parameters
    experts, knots = len(parameters.usual_coverage), len(parameters.knots)
    at = experts * (knots + 1)
    added = experts * knots

    def wider(table: np.ndarray, value: float) -> np.ndarray:
        columns = np.full((*table.shape[:-1], added), value, np.float32)
        return np.concatenate((table[..., :at], columns, table[..., -1:]), axis=-1)

    changed = replace(
        parameters,
        gram_weights=wider(parameters.gram_weights, 0.0),
        surface_weights=wider(parameters.surface_weights, 0.0),
        bias=wider(parameters.bias, level),
        recalled=np.array([(expert, slope, constant) for expert in range(experts)], np.float32),
    )
    return DifficultyModel(changed, version="recalls", abilities={})
