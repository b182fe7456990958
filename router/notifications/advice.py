"""What to do next where something is wrong: a sentence for each rule of alerts and each cause of failure. Pure."""

from collections.abc import Mapping
from typing import Any

from router.errors import Cause
from router.notifications.rules import AlertRule

UNKNOWN_CAUSE = "See the log of the service around one of these requests, and try the model with `tierwise doctor`."
BY_CAUSE: Mapping[Cause, str] = {
    Cause.CREDENTIALS: "Give this provider a valid key that may use the model, then try it with `tierwise doctor`.",
    Cause.NO_CREDIT: "Top up the account at this provider, or give the model a fallback.",
    Cause.RATE_LIMITED: "Ask the provider for a higher limit, lower the places of the model, or give it a fallback.",
    Cause.OVERLOADED: "Wait, or give the model a fallback: the provider has too much to do.",
    Cause.BAD_REQUEST: "Look at one of these requests: what the provider refuses, the model's settings must leave out.",
    Cause.NOT_FOUND: "Correct the model's name or its address in the configuration, then run `tierwise doctor`.",
    Cause.CONTENT_FILTER: "Nothing is broken: the provider refused what was asked. A fallback elsewhere may answer it.",
    Cause.CONTEXT_TOO_LONG: "Set the model's context_length, or a fallback with more room, so that it is not asked.",
    Cause.UNREACHABLE: "Check the address and the network from this machine with `tierwise doctor`.",
    Cause.TIMEOUT_CONNECT: "Check the address and the network from this machine with `tierwise doctor`.",
    Cause.TIMEOUT_FIRST_BYTE: "Give the model more time (first_byte_timeout_s), less to think, or a fallback.",
    Cause.TIMEOUT_IDLE: "Give the model a fallback, or more time between two pieces (idle_timeout_s).",
    Cause.TIMEOUT_TOTAL: "Give the model more time (timeout_s), less to think, or a fallback.",
    Cause.BROKEN_OFF: "Look at the provider's status page; a fallback answers meanwhile.",
    Cause.NONSENSE: "Check that the address speaks the dialect that the model's family is configured for.",
    Cause.BREAKER_OPEN: "Mend what the first failures of this model say; it is tried again by itself.",
    Cause.UNKNOWN: UNKNOWN_CAUSE,
}
BY_RULE: Mapping[AlertRule, str] = {
    AlertRule.BUDGET: "Raise the limit (`tierwise budget set`), or find who spends it: the page Keys & budgets.",
    AlertRule.MARGIN: "Open Thresholds: it says what happened, and finds the thresholds that bring the margin back.",
    AlertRule.UNPRICED: "Give the models a price: the page Prices, or `[prices]` in the configuration.",
    AlertRule.SPOOL: "Check the database and the disk; nothing is lost, the spool drains when they are back.",
    AlertRule.DRIFT: "Look at Thresholds for what the scores do now; refit with `tierwise train --from-ledger`.",
    AlertRule.SPEND: "Look at `tierwise report --by hour,key` for who asked more, at Prices for what became dearer.",
    AlertRule.TEST: "Nothing: it was a test.",
}


def advice_on_cause(cause: str | None) -> str:
    """Say what to do about calls that fail for a cause."""
    return BY_CAUSE.get(Cause(cause), UNKNOWN_CAUSE) if cause in set(Cause) else UNKNOWN_CAUSE


def advice_on_alert(rule: str, figures: Mapping[str, Any]) -> str:
    """Say what to do about an alert: of models that fail, by the cause of most failures."""
    if rule in (AlertRule.ERRORS, AlertRule.BREAKER):
        return advice_on_cause(figures.get("cause"))
    return BY_RULE.get(AlertRule(rule), "") if rule in set(AlertRule) else ""
