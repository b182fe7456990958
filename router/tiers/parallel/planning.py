"""What the samples of a request ask for, and what they and an escalation may cost at most."""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from router.providers.base import ModelTarget, ProviderRequest
from router.providers.caches import CACHE_KEY, cache_key, cache_of, has_cache_marks
from router.providers.state import state_family
from router.tiers.base import TierRequest, TierRunner
from router.tiers.calls import Calls
from router.tiers.caps import fit_output
from router.tiers.parallel.prompts import ends_with_user, forms_for, put
from router.tiers.single import SingleTier
from router.tiers.vote.keys import Asked

LEAST_TEMPERATURE = 0.3  # what is colder gives identical samples, which are no evidence
FORM_TOKENS = 800  # more than any form adds, in bytes
HINT_TOKENS = 3000  # more than two hints of 200 characters add, in bytes
LEAST_SAMPLE_TOKENS = 256  # under a cap; what leaves less is asked for fewer samples instead
NOT_PASSED_ON = frozenset({"n", "seed", "temperature"})

Requests = Callable[[int], tuple[str, ProviderRequest]]


def sample_requests(
    query: TierRequest,
    targets: Sequence[ModelTarget],
    question: Asked,
    *,
    wants_logprobs: bool = False,
    is_long: bool = False,
) -> Requests:
    """Return what makes the i-th sample's form and request: models, forms and seeds take turns.

    Samples of a long prompt are to share a provider's cache: one key for the conversation, and a mark where the
    provider wants one and the client set none.
    """
    has_tools, is_users = bool(query.params.get("tools")), ends_with_user(query.messages)
    forms = forms_for(question, has_tools=has_tools, ends_with_user=is_users)
    marks_allowed = is_long and not has_cache_marks(query.messages)
    prompts = {
        marks: [put(query.messages, form, marks_cache=marks) for form in forms] for marks in {False, marks_allowed}
    }
    params = _params_passed_on(query)
    temperature = query.params.get("temperature")
    if isinstance(temperature, int | float) and temperature >= LEAST_TEMPERATURE:
        params["temperature"] = temperature
    if wants_logprobs:
        params["logprobs"] = True
    asked_seed = query.params.get("seed")
    seed = asked_seed if isinstance(asked_seed, int) else int(query.request_id[-7:], 16)
    key = {CACHE_KEY: cache_key(query.conversation, query.messages)}

    def request(i: int) -> tuple[str, ProviderRequest]:
        target = targets[i % len(targets)]
        f = (i + (i // len(targets) if len(targets) > 1 else 0)) % len(forms)
        cache = cache_of(target)
        keyed = {**key, **params} if cache is not None and cache.takes_key else params
        prompt = prompts[marks_allowed and state_family(target).marks_cache][f]
        return forms[f].name, _request(query, target, prompt, {**keyed, "seed": (seed + i) % 2**31})

    return request


def _params_passed_on(query: TierRequest) -> dict[str, Any]:
    return {key: value for key, value in query.params.items() if key not in NOT_PASSED_ON}


def _request(
    query: TierRequest, target: ModelTarget, messages: list[dict[str, Any]], params: dict[str, Any]
) -> ProviderRequest:
    return ProviderRequest(
        target,
        messages,
        params,
        effort=target.effort,
        think=target.max_thinking_tokens is not None or target.effort not in (None, "none", "minimal"),
        max_visible_tokens=query.max_visible_tokens,
        max_output_tokens=query.max_output_tokens,
    )


def sample_bound(query: TierRequest) -> int:
    """Bound the input tokens of a sample: the client's own and what a form adds."""
    return query.input_bound_tokens + FORM_TOKENS


def cost_so_far(calls: Calls) -> int:
    """Return what the request has cost so far, calls in flight at their worst case."""
    return sum((c.intent.hold_nanousd if c.status is None else c.cost_nanousd) or 0 for c in calls.made)


def within_sample_cap(query: TierRequest, targets: Sequence[ModelTarget], calls: Calls, samples: int) -> TierRequest:
    """Lower the output limit so far that the request's cap covers so many samples, where that leaves room to answer."""
    cap = query.cost_cap_nanousd
    if cap is None:
        return query
    fitted = fit_output(query, lambda asked: samples_bound(asked, targets, calls, samples), cap, LEAST_SAMPLE_TOKENS)
    return fitted or query


def samples_bound(query: TierRequest, targets: Sequence[ModelTarget], calls: Calls, samples: int) -> int:
    """Bound what so many samples cost, models taking turns; 0 where there is no price. No prompt is written for it."""
    params, input_tokens = _params_passed_on(query), sample_bound(query)
    bounds = [calls.worst_case(_request(query, target, [], params), input_tokens) or 0 for target in targets]
    return sum(bounds[i % len(targets)] for i in range(samples))


def escalation_query(escalation: TierRunner | None, query: TierRequest, calls: Calls) -> TierRequest | None:
    """Return the query as the escalation tier can answer it for what is left of the cap; None where it cannot."""
    if escalation is None:
        return None
    hinted = msgspec.structs.replace(query, input_bound_tokens=query.input_bound_tokens + HINT_TOKENS)
    if query.cost_cap_nanousd is None or not isinstance(escalation, SingleTier):
        return hinted
    return escalation.within_cap(hinted, calls, query.cost_cap_nanousd - cost_so_far(calls))


def worst_case(escalation: TierRunner | None, query: TierRequest, calls: Calls) -> int:
    """Bound what handing the query to the escalation tier costs; 0 where that is not known."""
    hinted = msgspec.structs.replace(query, input_bound_tokens=query.input_bound_tokens + HINT_TOKENS)
    return escalation.worst_case(hinted, calls) if isinstance(escalation, SingleTier) else 0
