"""GET /v1/models: the tiers, `auto`, and the explicitly configured models."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import msgspec
from starlette.types import Receive, Scope, Send

from router.api.asgi import answering, send_json
from router.api.auth import Authenticator, Caller
from router.api.chat.response import encode_body
from router.api.messages.errors import is_anthropic, refusal_of
from router.decision.engine import AUTO
from router.decision.rules import TIERS
from router.errors import UnknownModel
from router.lineup import Lineup
from router.providers.base import ModelTarget


@dataclass(frozen=True, slots=True)
class ModelListing:
    """A model as clients may ask for it; what is unknown of it is None."""

    id: str
    context_length: int | None = None
    capabilities: tuple[str, ...] | None = None
    stands_for: str = ""  # the model that an alias means; else its own name

    @classmethod
    def of(cls, name: str, models: Sequence[ModelTarget]) -> "ModelListing":
        """What a name can take: the longest context of its models, and what any of them is known to be able to."""
        lengths = [model.context_length for model in models if model.context_length is not None]
        able = [model.capabilities for model in models if model.capabilities is not None]
        capabilities = tuple(sorted(frozenset().union(*able))) if able else None
        return cls(name, max(lengths, default=None), capabilities, name)

    @classmethod
    def of_lineup(cls, lineup: Lineup, aliases: Iterable[tuple[str, str]] = ()) -> "list[ModelListing]":
        """What clients may ask for by name, the names of other services that stand for one among it."""
        listed = [cls.of(AUTO, [model for models in lineup.by_tier.values() for model in models])]
        listed += [cls.of(tier, models) for tier, models in lineup.by_tier.items()]
        listed += [cls.of(name, model.targets) for name, model in lineup.explicit.items()]
        by_name = {model.id: model for model in listed}
        return listed + [replace(by_name[model], id=name) for name, model in aliases]


class WireModel(msgspec.Struct):
    """OpenAI's model object, with what we know beside it."""

    id: str
    context_length: int | None
    capabilities: tuple[str, ...] | None
    created: int
    object: str = "model"
    owned_by: str = "tierwise"


class Models:
    """Lists the models that a caller may name, or one of them.

    In Anthropic's form for who names a version of its API.
    """

    def __init__(self, listed: Sequence[ModelListing], authenticator: Authenticator, started_at: int) -> None:
        self._listed = {m.id: WireModel(m.id, m.context_length, m.capabilities, started_at) for m in listed}
        self._stands_for = {m.id: m.stands_for for m in listed}
        self._authenticator = authenticator

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        in_anthropics_form = is_anthropic(scope)
        async with answering(send, refusal_of if in_anthropics_form else None) as headers:
            caller = await self._authenticator.admit(scope)
            wanted = scope["path_params"].get("model")
            listed = {name: m for name, m in self._listed.items() if _may_name(caller, self._stands_for[name])}
            models: Mapping[str, object] = listed
            if in_anthropics_form:
                models = {name: _anthropic_model(model) for name, model in listed.items()}
            body: object = {"object": "list", "data": list(models.values())}
            if in_anthropics_form:
                ends = {"first_id": next(iter(models)), "last_id": next(reversed(list(models)))}
                body = {"data": list(models.values()), "has_more": False, **ends}
            if wanted is not None:
                if wanted not in models:
                    raise UnknownModel(f"no model goes by the name {wanted[:256]!r}", param="model")
                body = models[wanted]
            await send_json(send, 200, encode_body(body), headers)


def _may_name(caller: Caller, model: str) -> bool:
    """Tell whether a caller may ask for a model by its name: `auto`, a tier of its own, or what else it may name."""
    if model in TIERS:
        return model in caller.allowed_tiers
    return model == AUTO or caller.allowed_models is None or model in caller.allowed_models


def _anthropic_model(model: WireModel) -> dict[str, Any]:
    """Write a model as Anthropic's API lists its own."""
    created_at = datetime.fromtimestamp(model.created, UTC).isoformat().replace("+00:00", "Z")
    return {
        "type": "model",
        "id": model.id,
        "display_name": model.id,
        "created_at": created_at,
        "lifecycle": "active",
        "max_input_tokens": model.context_length,
    }
