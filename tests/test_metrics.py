from prometheus_client import generate_latest

from router.canary.verdicts import Guard, GuardFinding, GuardStatus, Verdict
from router.ledger.shipping import ShippingState
from router.metrics import Metrics
from router.types import Decision, Outcome, Reason, Tier


def scrape(metrics: Metrics) -> str:
    return generate_latest(metrics.registry).decode()


def settled(*costs: int | None) -> str:
    metrics = Metrics()
    decision = Decision(Tier.FAST, Reason.BELOW_THRESHOLD, 0.1, 0.25, 1)
    metrics.count_settled(decision, Tier.REASONING, Outcome.OK, costs, 1_450_000, 120)
    return scrape(metrics)


def test_cost_counts_where_the_answer_came_from() -> None:
    assert 'tierwise_cost_nanousd_total{tier="reasoning"} 12.0' in settled(5, 7)


def test_a_call_without_a_price_is_counted_and_costs_nothing_known() -> None:
    scraped = settled(5, None)
    assert "tierwise_unpriced_calls_total 1.0" in scraped
    assert 'tierwise_cost_nanousd_total{tier="reasoning"} 5.0' in scraped


def test_first_and_final_tier_are_told_apart() -> None:
    labels = 'final_tier="reasoning",outcome="ok",reason="below_threshold",tier="fast"'
    assert f"tierwise_requests_total{{{labels}}} 1.0" in settled(1)


def test_how_shipping_stands_is_shown() -> None:
    metrics = Metrics()
    metrics.set_shipping(ShippingState(database_ok=False, lag_entries=3, lag_seconds=1.5))
    scraped = scrape(metrics)
    assert "tierwise_database_up 0.0" in scraped
    assert "tierwise_spool_entries 3.0" in scraped


def test_what_the_guards_say_of_a_canary_is_shown_while_there_is_one() -> None:
    metrics = Metrics()
    finding = GuardFinding(Guard.ERRORS, 0.06, 0.01, 0.05, 0.01, 0.09, evidence=3.0, needed=6.0, harmful=0.01)
    metrics.set_canary(Verdict(GuardStatus.UNDECIDED, (finding,), 40, 160))
    scraped = scrape(metrics)
    assert 'tierwise_canary_requests{arm="control"} 160.0' in scraped
    assert 'tierwise_canary_harm{guard="errors"} 0.05' in scraped
    assert 'tierwise_canary_evidence{guard="errors"} 0.5' in scraped
    metrics.set_canary(None)
    assert "tierwise_canary_harm{" not in scrape(metrics)
