import json
from pathlib import Path
from typing import Any

from classifier.types import AnswerType, Estimate, Forecast, Stakes
from router.commands.estimate import tier_by
from router.decision.policy import Policy
from tests.commands.conftest import Command, Ran

FIELDS = "id p_fast p_reasoning score difficulty answer_type stakes expected_output_tokens tier".split()  # noqa: SIM905


def rows(ran: Ran) -> list[dict[str, Any]]:
    assert ran.code == 0, ran.err
    return [json.loads(line) for line in ran.out.splitlines()]


def an_estimate(p_fast: float, p_reasoning: float, answer_type: AnswerType = AnswerType.NUMERIC) -> Estimate:
    forecast = Forecast(1, 2, 3)
    return Estimate(p_fast, p_reasoning, 0.1, answer_type, Stakes.LOW, forecast, forecast, "test")


def test_lines_come_back_in_order_with_the_fields_of_the_contract(tierwise: Command) -> None:
    asked = ['{"id": "a", "text": "Hi!"}', '{"id": 2, "messages": [{"role": "user", "content": "Why?"}]}', ""]
    found = rows(tierwise("estimate", stdin="\n".join(asked)))
    assert [row["id"] for row in found] == ["a", 2]
    for row in found:
        assert [name for name in row if name != "ability"] == FIELDS
        assert abs(row["difficulty"] - (1 - row["p_fast"])) < 1e-5
        assert row["tier"] in {"fast", "reasoning", "parallel"}


def test_without_a_configuration_the_reference_pair_is_assumed(tierwise: Command) -> None:
    assert rows(tierwise("estimate", stdin='{"text": "Hi"}'))[0]["ability"] == "assumed"


def test_with_configured_abilities_nothing_is_assumed(tierwise: Command) -> None:
    Path("tierwise.toml").write_text("[tiers.fast]\nability = -1.0\n[tiers.reasoning]\nability = 2.0\n")
    assert "ability" not in rows(tierwise("estimate", stdin='{"text": "Hi"}'))[0]


def test_the_tier_follows_the_configured_thresholds(tierwise: Command) -> None:
    Path("tierwise.toml").write_text(
        "[policy]\nreasoning_threshold = -1\nparallel_threshold = -1\nmax_deep_share = 0\n"
    )
    assert rows(tierwise("estimate", stdin='{"text": "Hi"}'))[0]["tier"] == "reasoning"


PRICED = """
[tiers.fast]
model = "scripted/weak"
[tiers.reasoning]
model = "scripted/strong"
[tiers.parallel]
models = ["scripted/weak"]
[prices."scripted/weak"]
input = 0.05
output = 0.40
[prices."scripted/strong"]
input = 1.25
output = 10
"""
HARD = "Prove that there are infinitely many primes congruent to 3 modulo 4."


def asked_with_prices(tierwise: Command, text: str, settings: str = PRICED) -> dict[str, Any]:
    Path("tierwise.toml").write_text(settings)
    [row] = rows(tierwise("estimate", "--prices", stdin=json.dumps({"id": 1, "text": text})))
    return row


def test_prices_add_what_each_tier_costs_and_the_tier_by_worth(tierwise: Command, here: Path) -> None:
    row = asked_with_prices(tierwise, HARD)
    assert [name for name in row if name != "ability"] == [*FIELDS, "expected_cost_usd", "cost_ratio", "worth"]
    costs = {tier: float(cost) for tier, cost in row["expected_cost_usd"].items()}
    assert set(costs) == {"fast", "reasoning", "parallel"}
    assert 0 < costs["fast"] < costs["parallel"] < costs["reasoning"]
    assert [path.name for path in here.iterdir()] == ["tierwise.toml"]


def test_a_query_behind_a_long_text_is_worth_less_where_costs_count(tierwise: Command) -> None:
    text = HARD + "\n\nHere is a text:\n\n" + "The committee met on Tuesday. " * 8_000
    short, long = asked_with_prices(tierwise, HARD), asked_with_prices(tierwise, text)
    assert short["tier"] == "reasoning"
    assert (long["tier"], long["cost_ratio"] > 2) == ("fast", True)
    assert 0 < long["worth"] < long["score"]
    unmoved = asked_with_prices(tierwise, text, PRICED + "[policy]\ncost_sensitivity = 0\n")
    assert (unmoved["worth"], unmoved["cost_ratio"]) == (unmoved["score"], long["cost_ratio"])


def test_what_has_no_price_is_null_and_counts_as_usual(tierwise: Command) -> None:
    row = asked_with_prices(tierwise, HARD, '[tiers.reasoning]\nmodel = "somebody/unheard-of"\n')
    assert row["expected_cost_usd"]["fast"] is not None
    assert (row["expected_cost_usd"]["reasoning"], row["cost_ratio"]) == (None, 1.0)


def test_no_database_is_needed_and_none_is_made(tierwise: Command, here: Path) -> None:
    tierwise("estimate", stdin='{"text": "Hi"}')
    assert list(here.iterdir()) == []


def test_a_line_that_is_no_query_is_named(tierwise: Command) -> None:
    for line in ("{", "[]", '{"id": 1}', '{"text": "a", "messages": []}'):
        ran = tierwise("estimate", stdin='{"text": "Hi"}\n' + line)
        assert (ran.code, "line 2" in ran.err) == (2, True), line


def test_what_only_a_lenient_reader_takes_is_named_too(tierwise: Command) -> None:
    ran = tierwise("estimate", stdin="[" * 100_000)
    assert (ran.code, "line 1: nested too deeply" in ran.err) == (2, True)


def test_half_a_surrogate_comes_back_as_it_was_written(tierwise: Command) -> None:
    [row] = rows(tierwise("estimate", stdin=r'{"id": "\ud83d", "text": "Hi \ud83d"}'))
    assert row["id"] == "\ud83d"


def test_an_artefact_that_is_none_is_told_in_one_line(tierwise: Command, here: Path) -> None:
    ran = tierwise("estimate", "--artifact", str(here), stdin='{"text": "Hi"}')
    assert (ran.code, len(ran.err.splitlines())) == (2, 1)


def test_cap_and_exploration_play_no_part_in_the_tier() -> None:
    tier_for = tier_by(Policy(version=0, max_deep_share=0.0, explore=1.0))
    assert tier_for(an_estimate(0.3, 0.9)) == "reasoning"
    assert tier_for(an_estimate(0.8, 0.85)) == "fast"
    assert tier_for(an_estimate(0.7, 0.85)) == "parallel"


def test_what_cannot_be_voted_on_is_not_sampled() -> None:
    tier_for = tier_by(Policy(version=0))
    assert tier_for(an_estimate(0.7, 0.85, AnswerType.OPEN)) == "fast"
    assert tier_for(an_estimate(0.7, 0.85, AnswerType.FACTUAL)) == "fast"
