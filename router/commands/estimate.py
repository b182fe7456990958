"""`tierwise estimate`: what the classifier says of queries read as JSON lines."""

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from classifier import artifact
from classifier.messages import MessagesError, turns_of
from classifier.model import DifficultyModel
from classifier.types import Abilities, Estimate, Forecast, NamedModel
from router.commands.output import ConfigOption
from router.conversation.turns import ConversationView, Kind
from router.decision.capabilities import Missing
from router.decision.forecast import QueryForecast
from router.decision.policy import Policy
from router.decision.rules import BudgetView, decide
from router.decision.worth import USUAL
from router.money import usd_text
from router.providers.caches import BYTES_PER_TOKEN
from router.types import DEFAULT_SEGMENT, Decision, Tier

if TYPE_CHECKING:
    from router.settings import Settings

TierFor = Callable[[Estimate], str]
CostsFor = Callable[[Estimate, int], QueryForecast]  # of a query with an input of so many tokens


class LineError(Exception):
    """A line of the input that is no query."""


def tier_by(policy: Policy) -> TierFor:
    """The tier by a policy's thresholds, without cap, exploration and cost ratio, where every model can do all."""
    return lambda estimate: decide_by(policy, estimate).tier


def decide_by(policy: Policy, estimate: Estimate, cost_ratio: float = USUAL) -> Decision:
    """Decide by a policy's thresholds, without cap and exploration, where every model can do everything."""
    able: dict[Tier, frozenset[Missing]] = dict.fromkeys(Tier, frozenset())
    return decide(
        estimate,
        replace(policy, explore=0.0),
        conversation=ConversationView(Kind.NEW, ()),
        missing=able,
        allowed=frozenset(Tier),
        budget=BudgetView(),
        share_cap_quantile=None,
        draw=1.0,
        cost_ratio=cost_ratio,
    )


def add_prices(estimate: Estimate, policy: Policy, forecast: QueryForecast) -> dict[str, Any]:
    """What a query is expected to cost in each tier, and the tier by its worth; what has no price is null."""
    decision = decide_by(policy, estimate, forecast.ratio)
    costs = {tier: forecast.cost_in(tier) for tier in Tier}
    return {
        "expected_cost_usd": {tier.value: None if cost is None else usd_text(cost) for tier, cost in costs.items()},
        "cost_ratio": round(forecast.ratio, 4),
        "worth": round(decision.worth, 6),
        "tier": decision.tier.value,
    }


def estimate_lines(
    lines: Iterable[str],
    model: DifficultyModel,
    *,
    abilities: Abilities | None = None,
    policy: Policy | None = None,
    costs_for: CostsFor | None = None,
) -> Iterator[dict[str, Any]]:
    """Estimate lines of input into rows of output, in order; raise LineError naming the first line that is no query.

    Without `abilities` the reference pair is assumed, and rows say so unless the artefact's heads were adapted. With
    `costs_for` rows have what a query is expected to cost, which decides with its score.
    """
    policy = policy or Policy(version=0)
    tier_for = tier_by(policy)
    is_assumed = not model.is_adapted and (abilities is None or None in (abilities.fast, abilities.reasoning))
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            query = json.loads(line)
            turns = turns_of(query)
        except (json.JSONDecodeError, MessagesError) as error:
            raise LineError(f"line {number}: {error}") from error
        except RecursionError:
            raise LineError(f"line {number}: nested too deeply") from None
        found = model.estimate(turns, abilities or Abilities())
        row = _row(query.get("id"), found, tier_for)
        if costs_for is not None:
            row |= add_prices(found, policy, costs_for(found, _input_tokens(query)))
        yield row | {"ability": "assumed"} if is_assumed else row


def _row(query_id: object, estimate: Estimate, tier_for: TierFor) -> dict[str, Any]:
    return {
        "id": query_id,
        "p_fast": round(estimate.p_fast, 6),
        "p_reasoning": round(estimate.p_reasoning, 6),
        "score": round(estimate.score, 6),
        "difficulty": round(estimate.difficulty, 6),
        "answer_type": estimate.answer_type.value,
        "stakes": estimate.stakes.value,
        "expected_output_tokens": {
            "fast": _tokens(estimate.output_fast),
            "reasoning": _tokens(estimate.output_reasoning),
        },
        "tier": tier_for(estimate),
    }


def _input_tokens(query: Mapping[str, Any]) -> int:
    """Count a query's tokens as the service does before it calls anybody: by the bytes of its messages."""
    messages = query.get("messages") or [{"role": "user", "content": query.get("text")}]
    return len(json.dumps(messages, ensure_ascii=False).encode("utf-8", "replace")) // BYTES_PER_TOKEN


def _tokens(forecast: Forecast) -> Mapping[str, int]:
    return {"low": forecast.low, "expected": forecast.expected, "high": forecast.high}


def estimate(
    artifact_directory: Annotated[
        Path | None,
        typer.Option(
            "--artifact", help="Directory made by `tierwise train`; default: the configured one, else the shipped one."
        ),
    ] = None,
    prices: Annotated[
        bool,
        typer.Option("--prices", help="Add what each tier is expected to cost; the tier is then chosen by worth."),
    ] = False,
    config: ConfigOption = None,
) -> None:
    """Estimate queries: JSON lines {"id", "text"} or {"id", "messages"} on stdin, JSON lines on stdout."""
    from router import settings
    from router.policies.versions import policy_of_file

    configured = settings.load(settings.config_path(config))
    try:
        model = artifact.load(artifact_directory or configured.artifact)
        policy = policy_of_file(configured.policy.model_dump())
        costs_for = price_queries(configured, policy, os.environ) if prices else None
        abilities = _abilities(configured, model)
        for row in estimate_lines(sys.stdin, model, abilities=abilities, policy=policy, costs_for=costs_for):
            sys.stdout.write(json.dumps(row) + "\n")
    except UnicodeDecodeError:
        typer.echo("tierwise estimate: the input is not UTF-8 text", err=True)
        raise typer.Exit(2) from None
    except (artifact.ArtifactError, LineError) as error:
        typer.echo(f"tierwise estimate: {error}", err=True)
        raise typer.Exit(2) from error


def price_queries(configured: "Settings", policy: Policy, environ: Mapping[str, str]) -> CostsFor:
    """Forecast costs without a database: at the file's prices, else the price list that ships, uncorrected."""
    from router.clock import SystemClock
    from router.decision.costs import CostForecaster, FixedEvidence
    from router.decision.effort import length_at
    from router.decision.forecast import ExpectedVote
    from router.ledger.pricelist import book_of
    from router.lineup import Lineup

    clock, lineup = SystemClock(), Lineup.of(configured, environ)
    book = book_of(configured.model_names(), configured.prices)
    parallel = lineup.parallel(configured, book, None, clock)

    def expect_stop(p_sampled: float, is_votable: bool, of: Policy) -> ExpectedVote:
        return ExpectedVote(*parallel.predict_stop(p_sampled, is_votable, of.parallel_samples, of.parallel_confidence))

    forecaster = CostForecaster(book, lineup.by_tier, FixedEvidence(), expect_stop, clock.now_us)

    def forecast(estimate: Estimate, tokens: int) -> QueryForecast:
        if not configured.tiers.reasoning.chooses_effort:
            return forecaster.forecast(estimate, policy, DEFAULT_SEGMENT, tokens)
        effort = forecaster.choose_effort(estimate, DEFAULT_SEGMENT, tokens, policy.cost_sensitivity)
        length = length_at(effort, estimate.output_fast, estimate.output_reasoning)
        at_effort = replace(estimate, output_reasoning=length)
        return forecaster.forecast(at_effort, policy, DEFAULT_SEGMENT, tokens, effort=effort)

    return forecast


def _abilities(configured: "Settings", model: DifficultyModel) -> Abilities:
    """Find the abilities of the configured models; None where nothing is known of one."""
    tiers = (configured.tiers.fast, configured.tiers.reasoning)
    return Abilities.of(model.ability_of, *(NamedModel(tier.model, tier.ability) for tier in tiers))
