import json
from decimal import Decimal

import pytest

from tests.commands.conftest import Command

pytestmark = pytest.mark.usefixtures("books")


def expected(tierwise: Command, *options: str) -> dict[str, str]:
    rows = json.loads(tierwise("revenue", "show", "--format", "json", *options).out)
    return {f"{row['segment']} {row['country']}": row["expected_usd"] for row in rows}


def test_the_shipped_scenarios(tierwise: Command) -> None:
    rows = json.loads(tierwise("revenue", "show", "--scenarios", "--format", "json").out)
    assert [row["expected_usd"] for row in rows] == ["0.000300000", "0.001450000", "0.006000000"]


def test_a_version_changes_what_is_named_and_keeps_the_rest(tierwise: Command) -> None:
    tierwise("revenue", "set", "--scenario", "high", "--note", "optimism")
    tierwise("revenue", "set", "--segment", "plus", "--subscription-usd", "8", "--queries", "400", "--ecpm-usd", "0")
    found = expected(tierwise)
    assert (found["default US"], found["default ZZ"]) == ("0.006000000", "0.000480000")
    assert found["plus US"] == found["plus ZZ"] == "0.020000000"
    assert len(json.loads(tierwise("revenue", "show", "--all", "--format", "json").out)) == 6


def test_clicks_and_a_price_per_call_and_countries(tierwise: Command) -> None:
    tierwise("revenue", "set", "--ctr", "0.01", "--cpc-usd", "2.5", "--ads-per-query", "0.1", "--country", "DE=0.5")
    found = expected(tierwise, "--countries")
    assert (found["default US"], found["default DE"]) == ("0.002500000", "0.001250000")
    for stated, earned in (("0.4", "0.001000000"), ("lowest", "0.000200000")):
        tierwise("revenue", "set", "--country", f"ZZ={stated}")
        assert expected(tierwise)["default ZZ"] == earned
    tierwise("revenue", "set", "--price-per-call-usd", "0.01")
    assert Decimal(expected(tierwise, "--countries")["default DE"]) == Decimal("0.01125")


def test_what_cannot_be_an_assumption_is_refused(tierwise: Command) -> None:
    for wrong in (
        ["--ctr", "0.01"],
        ["--queries", "3"],
        ["--scenario", "dream"],
        ["--publisher-share", "2"],
        ["--ecpm-usd", "nan"],
        ["--ecpm-usd", "-1"],
        ["--country", "germany=1"],
    ):
        assert tierwise("revenue", "set", *wrong).code == 2, wrong


def test_a_budget_is_shown_as_it_was_set(tierwise: Command) -> None:
    tierwise("keys", "create", "app")
    assert tierwise("budget", "set", "12.5", "--key", "app", "--period", "hour").code == 0
    [row] = json.loads(tierwise("budget", "show", "--format", "json").out)
    assert (row["scope"], row["subject"], row["period"]) == ("key", "app", "hour")
    assert (row["limit_usd"], row["spent_usd"], row["left_usd"]) == ("12.500000000", "0.000000000", "12.500000000")
    assert "taken away" in tierwise("budget", "set", "none", "--key", "app", "--period", "hour").out
    assert json.loads(tierwise("budget", "show", "--format", "json").out) == []


def test_a_budget_of_nothing_that_exists_is_refused(tierwise: Command) -> None:
    for wrong in (
        ["5", "--key", "nobody"],
        ["5", "--tier", "slow"],
        ["5", "--period", "week"],
        ["-1"],
        ["much"],
        ["5", "--tier", "fast", "--segment", "free"],
    ):
        assert tierwise("budget", "set", *wrong).code == 2, wrong


def test_a_budget_is_hard_unless_it_is_said_and_stays_what_it_is(tierwise: Command) -> None:
    def kind() -> str:
        [row] = json.loads(tierwise("budget", "show", "--format", "json").out)
        return str(row["kind"])

    tierwise("budget", "set", "5")
    assert kind() == "hard"
    tierwise("budget", "set", "5", "--kind", "soft")
    tierwise("budget", "set", "6")
    assert kind() == "soft"
    assert tierwise("budget", "set", "5", "--kind", "elastic").code == 2


def test_an_event_that_is_not_there_is_not_reversed(tierwise: Command) -> None:
    assert json.loads(tierwise("revenue", "events", "--format", "json").out) == []
    reversed_ = tierwise("revenue", "reverse", "net", "1")
    assert reversed_.code == 2
    assert "there is no revenue event '1' of 'net'" in reversed_.err


def test_a_query_that_earns_a_fortune_is_a_wrong_unit(tierwise: Command) -> None:
    refused = tierwise("revenue", "set", "--ecpm-usd", "9000000000", "--ads-per-query", "1")
    assert refused.code == 2
    assert "look at the units" in refused.err
