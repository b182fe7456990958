import numpy as np
import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from classifier.training.learner import TextRidge, gram, out_of_fold


@pytest.mark.filterwarnings("ignore")
@parametrize_with_checks([TextRidge()])  # type: ignore[untyped-decorator]
def test_keeps_the_estimator_contract(estimator: object, check: object) -> None:
    assert callable(check)
    check(estimator)


def test_out_of_fold_predictions_are_those_of_a_model_without_the_fold() -> None:
    random = np.random.default_rng(0)
    rows, targets = random.normal(size=(40, 5)), random.normal(size=(40, 2))
    folds = np.arange(40) % 4
    predicted = out_of_fold(gram(rows), targets, folds, alpha=2.0)
    alone = TextRidge(2.0, fit_intercept=False).fit(rows[folds != 1], targets[folds != 1]).predict(rows[folds == 1])
    assert np.allclose(predicted[folds == 1], alone)
