"""What a request needs and what the models behind a tier can take. Pure; what is unknown of a model counts as able."""

from collections.abc import Mapping, Sequence, Set
from enum import StrEnum

import msgspec

from router.errors import CONTEXT_TOO_LONG, InvalidRequest
from router.providers.base import ModelTarget
from router.providers.thinking import LEAST_VISIBLE_TOKENS, THINKING_FLOOR_TOKENS
from router.types import REASONING, Tier


class Missing(StrEnum):
    """What the models of a tier miss for a request."""

    CONTEXT = "context"
    IMAGES = "images"
    TOOLS = "tools"
    SCHEMA = "schema"
    THINKING_ROOM = "thinking_room"
    PATIENCE = "patience"  # it usually takes longer than the policy lets a client of `auto` wait
    HEALTH = "health"  # all of them failed too often of late, and none is asked for now


class Needs(msgspec.Struct, frozen=True):
    """What a request asks of a model. `input_tokens` is an estimate, the limits are the client's."""

    input_tokens: int = 0
    images: bool = False
    tools: bool = False
    schema: bool = False
    max_visible_tokens: int | None = None
    max_output_tokens: int | None = None


_ABLE: frozenset[Missing] = frozenset()


def missing_of(needs: Needs, tiers: Mapping[Tier, Sequence[ModelTarget]]) -> dict[Tier, frozenset[Missing]]:
    """Tell for each tier what its models miss; a tier that samples several models needs all of them able."""
    found = {}
    for tier, targets in tiers.items():
        missing = _ABLE
        for target in targets:
            missing |= _missing(needs, tier, target)
        found[tier] = missing
    return found


def thinking_floor(target: ModelTarget) -> int:
    """The least tokens a model spends on thinking before it says anything."""
    if target.capabilities is not None and "thinking" not in target.capabilities:
        return 0
    budget = target.max_thinking_tokens
    return THINKING_FLOOR_TOKENS if budget is None else min(budget, THINKING_FLOOR_TOKENS)


def _missing(needs: Needs, tier: Tier, target: ModelTarget) -> frozenset[Missing]:
    missing = _ABLE
    if target.context_length is not None and _tokens(needs, tier, target) > target.context_length:
        missing |= {Missing.CONTEXT}
    known = target.capabilities
    if known is not None and (needs.images or needs.tools or needs.schema):
        wanted = ((needs.images, Missing.IMAGES), (needs.tools, Missing.TOOLS), (needs.schema, Missing.SCHEMA))
        missing |= {lack for needed, lack in wanted if needed and lack not in known}
    if needs.max_output_tokens is not None and tier is REASONING:
        floor = thinking_floor(target)
        if floor and needs.max_output_tokens < floor + LEAST_VISIBLE_TOKENS:
            missing |= {Missing.THINKING_ROOM}
    return missing


def _tokens(needs: Needs, tier: Tier, target: ModelTarget) -> int:
    """The context a call takes: the input, and what the client asks for or the least that is an answer."""
    if needs.max_output_tokens is not None:
        return needs.input_tokens + needs.max_output_tokens
    visible = needs.max_visible_tokens if needs.max_visible_tokens is not None else LEAST_VISIBLE_TOKENS
    return needs.input_tokens + visible + (thinking_floor(target) if tier is REASONING else 0)


def incapable(missing: Set[Missing]) -> InvalidRequest:
    """The error that names what no model can take."""
    if Missing.CONTEXT in missing:
        message = "the conversation and the tokens asked for are longer than the context of the models that may answer"
        return InvalidRequest(message, param="messages", code=CONTEXT_TOO_LONG)
    if Missing.IMAGES in missing:
        return InvalidRequest("no model that may answer takes images", param="messages", code="unsupported_value")
    if Missing.TOOLS in missing:
        return InvalidRequest("no model that may answer takes tools", param="tools", code="unsupported_parameter")
    if Missing.SCHEMA in missing:
        message = "no model that may answer keeps to a JSON schema"
        return InvalidRequest(message, param="response_format", code="unsupported_parameter")
    message = f"too few tokens for a model that thinks: at least {THINKING_FLOOR_TOKENS + LEAST_VISIBLE_TOKENS}"
    return InvalidRequest(message, param="max_completion_tokens", code="invalid_value")
