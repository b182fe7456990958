"""`tierwise estimate`: what the classifier says of queries read as JSON lines."""

import json
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
from router.decision.policy import Policy
from router.decision.rules import BudgetView, decide
from router.types import Tier

if TYPE_CHECKING:
    from router.settings import Settings

TierFor = Callable[[Estimate], str]


class LineError(Exception):
    """A line of the input that is no query."""


def tier_by(policy: Policy) -> TierFor:
    """The tier by a policy's thresholds, without cap and exploration, where every model can do everything."""
    bare = replace(policy, explore=0.0)
    able: dict[Tier, frozenset[Missing]] = dict.fromkeys(Tier, frozenset())

    def tier_for(estimate: Estimate) -> str:
        return decide(
            estimate,
            bare,
            conversation=ConversationView(Kind.NEW, ()),
            missing=able,
            allowed=frozenset(Tier),
            budget=BudgetView(),
            share_cap_quantile=None,
            draw=1.0,
        ).tier

    return tier_for


def estimate_lines(
    lines: Iterable[str],
    model: DifficultyModel,
    *,
    abilities: Abilities | None = None,
    tier_for: TierFor | None = None,
) -> Iterator[dict[str, Any]]:
    """Estimate lines of input into rows of output, in order; raise LineError naming the first line that is no query.

    Without `abilities` the reference pair is assumed, and rows say so unless the artefact's heads were adapted.
    """
    tier_for = tier_for or tier_by(Policy(version=0))
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
        row = _row(query.get("id"), model.estimate(turns, abilities or Abilities()), tier_for)
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


def _tokens(forecast: Forecast) -> Mapping[str, int]:
    return {"low": forecast.low, "expected": forecast.expected, "high": forecast.high}


def estimate(
    artifact_directory: Annotated[
        Path | None,
        typer.Option("--artifact", help="A directory made by `tierwise train`; default: as configured, else shipped."),
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Estimate queries: JSON lines {"id", "text"} or {"id", "messages"} on stdin, JSON lines on stdout."""
    from router import settings
    from router.policies.versions import policy_of_file

    configured = settings.load(settings.config_path(config))
    try:
        model = artifact.load(artifact_directory or configured.artifact)
        tier_for = tier_by(policy_of_file(configured.policy.model_dump()))
        for row in estimate_lines(sys.stdin, model, abilities=_abilities(configured, model), tier_for=tier_for):
            sys.stdout.write(json.dumps(row) + "\n")
    except UnicodeDecodeError:
        typer.echo("tierwise estimate: the input is not UTF-8 text", err=True)
        raise typer.Exit(2) from None
    except (artifact.ArtifactError, LineError) as error:
        typer.echo(f"tierwise estimate: {error}", err=True)
        raise typer.Exit(2) from error


def _abilities(configured: "Settings", model: DifficultyModel) -> Abilities:
    """Find the abilities of the configured models; None where nothing is known of one."""
    tiers = (configured.tiers.fast, configured.tiers.reasoning)
    return Abilities.of(model.ability_of, *(NamedModel(tier.model, tier.ability) for tier in tiers))
