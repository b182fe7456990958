"""Whoever is told that something is wrong is told what to do next."""

import pytest

from router.errors import Cause
from router.notifications.advice import advice_on_alert, advice_on_cause
from router.notifications.rules import AlertRule


@pytest.mark.parametrize("rule", AlertRule)
def test_every_rule_has_an_advice(rule: AlertRule) -> None:
    assert advice_on_alert(rule, {}).endswith(".")


@pytest.mark.parametrize("cause", Cause)
def test_every_cause_has_an_advice(cause: Cause) -> None:
    assert advice_on_cause(cause).endswith(".")


def test_a_model_that_fails_is_mended_by_its_cause() -> None:
    assert "valid key" in advice_on_alert(AlertRule.ERRORS, {"cause": "credentials"})
    assert advice_on_cause("of tomorrow") == advice_on_cause(None)
