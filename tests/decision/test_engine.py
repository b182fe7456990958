from dataclasses import replace
from typing import cast

import pytest

from classifier.model import DifficultyModel
from classifier.types import Abilities, AnswerType, Stakes
from router.decision.engine import DecisionEngine, Explicit
from router.decision.latency import LatencyWindow
from router.decision.policy import Policy, SegmentDials
from router.errors import Forbidden, InvalidRequest, UnknownModel
from router.policies.canaries import Canary, CanaryState, Mode
from router.policies.versions import PolicySnapshot, view_of
from router.types import Reason, Tier
from tests.builders.dispatchers import NO_CAP, TARGETS, FixedModel, a_routing, an_inference_request
from tests.tiers.fakes import CHEAP, OTHER, STRONG

HARD = (0.3, 0.9)
IMAGE = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://x/y.png"}}]}]


def test_an_easy_question_goes_fast_and_a_hard_one_is_thought_about() -> None:
    assert a_routing().route(an_inference_request()).decision.tier is Tier.FAST
    assert a_routing(FixedModel(*HARD)).route(an_inference_request()).decision.tier is Tier.REASONING


def test_the_policy_in_force_is_asked_for_each_request() -> None:
    never = Policy(version=9, reasoning_threshold=1.5, parallel_threshold=1.5, explore=0, max_deep_share=1)
    decision = a_routing(FixedModel(*HARD), policy=never).route(an_inference_request()).decision
    assert (decision.tier, decision.policy_version) == (Tier.FAST, 9)


def test_a_segment_is_decided_by_its_own_dials() -> None:
    policy = replace(NO_CAP, segments={"free": SegmentDials(reasoning_threshold=1.5, parallel_threshold=1.5)})
    routing = a_routing(FixedModel(*HARD), policy=policy)
    assert routing.route(an_inference_request(segment="free")).decision.tier is Tier.FAST
    assert routing.route(an_inference_request(segment="plus")).decision.tier is Tier.REASONING


@pytest.mark.slow
def test_a_segment_with_a_cap_of_its_own_has_its_share_of_its_own_queries() -> None:
    policy = replace(NO_CAP, segments={"free": SegmentDials(max_deep_share=0.1)})
    routing = a_routing(FixedModel(*HARD), policy=policy)
    for number in range(2_000):
        routing.route(an_inference_request(f"Question {number}?", segment="plus"))
    assert routing.route(an_inference_request("Mine?", segment="free")).decision.tier is Tier.REASONING
    for number in range(2_000):
        last = routing.route(an_inference_request(f"Question {number}?", segment="free")).decision
    assert last.reason is Reason.SHARE_CAP
    assert routing.route(an_inference_request("Mine?", segment="plus")).decision.tier is Tier.REASONING


NEVER_DEEP = Policy(version=9, reasoning_threshold=1.5, parallel_threshold=1.5, explore=0, max_deep_share=1)


def a_trial(mode: Mode, share: float) -> PolicySnapshot:
    canary = Canary(1, 9, NO_CAP.version, mode, share, 0, None, "wait", CanaryState.RUNNING, None, "ada", "")
    return view_of(NO_CAP, canary, NEVER_DEEP)


def test_a_conversation_stays_with_the_policy_it_began_with() -> None:
    routing = a_routing(FixedModel(*HARD), policies=a_trial(Mode.CANARY, 0.5))
    tiers: dict[int, set[tuple[Tier, int]]] = {}
    for number in range(40):
        for turn in ("And?", "Why?", "Really?"):
            messages = [*an_inference_request(f"Question {number}?").messages, {"role": "assistant", "content": "So."}]
            messages.append({"role": "user", "content": turn})
            found = routing.route(an_inference_request(messages=messages)).decision
            tiers.setdefault(number, set()).add((found.tier, found.policy_version))
    assert all(len(found) == 1 for found in tiers.values())
    assert {found for seen in tiers.values() for found in seen} == {(Tier.FAST, 9), (Tier.REASONING, 3)}


def test_a_named_conversation_stays_whatever_it_says() -> None:
    routing = a_routing(FixedModel(*HARD), policies=a_trial(Mode.CANARY, 0.5))
    versions = [
        {
            routing.route(an_inference_request(f"{turn}?", conversation=f"c{number}")).decision.policy_version
            for turn in range(5)
        }
        for number in range(30)
    ]
    assert all(len(found) == 1 for found in versions)
    assert len(set.union(*versions)) == 2


def test_a_shadow_decides_and_does_not_act() -> None:
    routed = a_routing(FixedModel(*HARD), policies=a_trial(Mode.SHADOW, 1.0)).route(an_inference_request())
    assert (routed.decision.tier, routed.decision.policy_version) == (Tier.REASONING, 3)
    assert routed.shadow is not None
    assert (routed.shadow.tier, routed.shadow.policy_version) == (Tier.FAST, 9)
    assert a_routing().route(an_inference_request()).shadow is None


def test_a_shadow_with_the_same_classifier_estimates_nothing_anew() -> None:
    model = FixedModel(*HARD)
    a_routing(model, policies=a_trial(Mode.SHADOW, 1.0)).route(an_inference_request())
    assert len(model.asked) == 1


def test_a_policy_may_name_its_classifier() -> None:
    asked: list[str | None] = []

    def model_of(version: str | None) -> DifficultyModel:
        asked.append(version)
        return cast(DifficultyModel, FixedModel())

    DecisionEngine(model_of, PolicySnapshot(replace(NO_CAP, classifier="own-1")), TARGETS, {}).route(
        an_inference_request()
    )
    assert set(asked) == {"own-1"}


def test_scores_are_held_against_the_classifier_that_gave_them() -> None:
    routing = a_routing(policy=replace(NO_CAP, classifier="own-1"))
    for number in range(250):
        routing.route(an_inference_request(f"What is the square root of {number * 7919}?"))
    assert (routing.drift("own-1").count, routing.drift(None).count) == (250, 0)
    assert routing.drift("own-1").is_alarming  # one and the same score, where the reference has four


def test_pacing_moves_the_policy_of_the_segment() -> None:
    asked: list[str] = []

    def paced(policy: Policy, segment: str) -> Policy:
        asked.append(segment)
        return replace(policy, reasoning_threshold=1.0, parallel_threshold=1.0)

    model = cast(DifficultyModel, FixedModel(*HARD))
    routed = DecisionEngine(lambda version: model, PolicySnapshot(NO_CAP), TARGETS, {}, paced=paced).route(
        an_inference_request(segment="free")
    )
    assert (routed.decision.tier, routed.policy.reasoning_threshold, asked) == (Tier.FAST, 1.0, ["free"])


def test_a_tier_that_keeps_clients_waiting_is_closed_to_scores_only() -> None:
    waits = LatencyWindow(lambda: 0.0)
    patient = replace(NO_CAP, max_wait_s=2.0)
    routing = a_routing(FixedModel(*HARD), policy=patient, waits=waits)
    for _ in range(40):
        routing.note_wait(Tier.REASONING, False, 9_000.0)
    looked = routing.route(an_inference_request("Is it quick again?")).decision
    assert looked.tier is Tier.REASONING
    closed = routing.route(an_inference_request("Hard one?")).decision
    assert (closed.tier, closed.reason) == (Tier.PARALLEL, Reason.CAPABILITY)
    assert routing.route(an_inference_request("Thanks!")).decision.tier is Tier.FAST
    assert routing.route(an_inference_request("Hard two?", streamed=True)).decision.tier is Tier.REASONING
    assert routing.route(an_inference_request("Hard three?", model="reasoning")).decision.tier is Tier.REASONING
    assert routing.route(an_inference_request("Hard four?", effort="high")).decision.tier is Tier.REASONING


@pytest.mark.parametrize("tier", list(Tier))
def test_a_tier_asked_for_by_name_is_given(tier: Tier) -> None:
    decision = a_routing().route(an_inference_request(model=tier)).decision
    assert (decision.tier, decision.reason) == (tier, Reason.OVERRIDE)


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(UnknownModel, match="gpt-9"):
        a_routing().route(an_inference_request(model="gpt-9"))


def test_an_explicit_model_is_booked_under_its_tier_and_checked_for_what_it_can_take() -> None:
    blind = replace(OTHER, capabilities=frozenset({"tools"}))
    routing = a_routing(explicit={"own": Explicit(Tier.REASONING, (blind,))})
    assert routing.route(an_inference_request(model="own")).decision.tier is Tier.REASONING
    with pytest.raises(InvalidRequest, match="images"):
        routing.route(an_inference_request(model="own", messages=IMAGE))


def test_a_key_is_kept_to_its_tiers() -> None:
    with pytest.raises(Forbidden):
        a_routing().route(an_inference_request(model="reasoning", allowed_tiers=frozenset({Tier.FAST})))
    routed = a_routing(FixedModel(*HARD)).route(an_inference_request(allowed_tiers=frozenset({Tier.FAST})))
    assert routed.decision.tier is Tier.FAST


def test_abilities_come_from_the_configuration_then_from_the_artefact() -> None:
    model = FixedModel()
    a_routing(model).route(an_inference_request())
    assert model.abilities == [Abilities(fast=None, reasoning=2.0)]
    told = {**TARGETS, Tier.REASONING: (replace(STRONG, ability=3.5),)}
    a_routing(model, targets=told).route(an_inference_request())
    assert model.abilities[-1].reasoning == 3.5


def test_a_tier_whose_model_cannot_see_is_passed_over_for_an_image() -> None:
    targets = {**TARGETS, Tier.FAST: (replace(CHEAP, capabilities=frozenset()),)}
    decision = a_routing(targets=targets).route(an_inference_request(messages=IMAGE)).decision
    assert decision.tier is not Tier.FAST
    assert decision.reason is Reason.CAPABILITY


def test_a_fallback_that_cannot_see_does_not_keep_its_tier_from_seeing() -> None:
    blind = replace(OTHER, capabilities=frozenset())
    targets = {**TARGETS, Tier.FAST: (CHEAP, blind)}
    assert (
        a_routing(targets=targets).route(an_inference_request(model="fast", messages=IMAGE)).decision.tier is Tier.FAST
    )
    explicit = {"own": Explicit(Tier.FAST, (CHEAP, blind))}
    assert (
        a_routing(explicit=explicit).route(an_inference_request(model="own", messages=IMAGE)).decision.tier is Tier.FAST
    )


def test_of_sampled_models_every_one_must_be_able() -> None:
    targets = {**TARGETS, Tier.PARALLEL: (CHEAP, replace(OTHER, capabilities=frozenset()))}
    with pytest.raises(InvalidRequest, match="images"):
        a_routing(targets=targets).route(an_inference_request(model="parallel", messages=IMAGE))


def test_the_same_messages_of_the_same_key_are_a_regenerate() -> None:
    routing = a_routing(FixedModel(0.8, 1.0))
    first, again = routing.route(an_inference_request()), routing.route(an_inference_request())
    assert again.decision.score > first.decision.score


def test_another_keys_same_messages_are_not() -> None:
    routing = a_routing(FixedModel(0.8, 1.0))
    first, other = routing.route(an_inference_request(key_id=1)), routing.route(an_inference_request(key_id=2))
    assert first.decision.score == other.decision.score


def test_overrides_do_not_move_the_window_that_the_share_cap_looks_at() -> None:
    capped = replace(NO_CAP, max_deep_share=0.1)
    routing = a_routing(FixedModel(*HARD), policy=capped)
    for number in range(2_000):
        routing.route(an_inference_request(f"Question {number}?", model="fast"))
    assert routing.route(an_inference_request("Another one?")).decision.tier is Tier.REASONING


def test_scores_of_auto_do() -> None:
    capped = replace(NO_CAP, max_deep_share=0.1)
    routing = a_routing(FixedModel(*HARD), policy=capped)
    tiers = [routing.route(an_inference_request(f"Question {number}?")).decision for number in range(2_000)]
    assert tiers[-1].tier is Tier.FAST
    assert tiers[-1].reason is Reason.SHARE_CAP


def test_a_question_of_high_stakes_shows_no_ads() -> None:
    assert a_routing().route(an_inference_request()).ads_eligible
    assert not a_routing(FixedModel(stakes=Stakes.HIGH)).route(an_inference_request()).ads_eligible


def test_user_turns_and_attachments_are_counted() -> None:
    messages = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, *IMAGE]
    routed = a_routing().route(an_inference_request(messages=messages))
    assert (routed.turn, routed.attachments) == (2, 1)


def test_what_comes_again_and_again_is_no_regenerate() -> None:
    routing = a_routing()
    scores = [routing.route(an_inference_request("Why is the sky blue?")).decision.score for _ in range(5)]
    assert scores[1] == scores[2] > scores[0]
    assert scores[3] == scores[4] == scores[0]


def test_an_answer_in_json_can_be_voted_on() -> None:
    request = an_inference_request("Describe a cat.", params={"response_format": {"type": "json_object"}})
    assert a_routing().route(request).estimate.answer_type is AnswerType.JSON


def test_fast_asked_for_by_name_is_not_made_to_think_by_an_effort() -> None:
    assert a_routing().route(an_inference_request(model="fast", effort="xhigh")).decision.effort is None
    assert a_routing().route(an_inference_request(model="reasoning", effort="high")).decision.effort == "high"


def test_a_query_that_is_only_tried_is_decided_as_if_it_came_in_and_is_not_remembered() -> None:
    model = FixedModel(*HARD)
    routing = a_routing(model, policy=replace(NO_CAP, explore=1.0))
    tried = routing.quote(an_inference_request(), replace(NO_CAP, explore=1.0))
    decision, estimate = tried.decision, tried.estimate
    assert (decision.tier, decision.reason) == (Tier.REASONING, Reason.ABOVE_THRESHOLD)
    assert (estimate.p_fast, estimate.p_reasoning) == HARD
    never = Policy(version=9, reasoning_threshold=1.5, parallel_threshold=1.5, max_deep_share=1)
    assert routing.quote(an_inference_request(), never).decision.tier is Tier.FAST
    # Had it been remembered, the same messages again would be a regenerate.
    assert routing.route(an_inference_request()).signal is None


def test_trying_moves_no_share_cap() -> None:
    capped = replace(NO_CAP, max_deep_share=0.5)
    tried, untouched = (a_routing(FixedModel(*HARD), policy=capped) for _ in range(2))
    for _ in range(2_000):
        tried.quote(an_inference_request(), capped)
    assert tried.route(an_inference_request()).decision == untouched.route(an_inference_request()).decision
