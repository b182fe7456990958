"""What people ask is judged by what they want, not by how long it is; order and invariance on the shipped artefact."""

import itertools

import pytest

from classifier import artifact
from classifier.consumer import NOTHING, ConsumerHead
from classifier.cues import read_cues
from classifier.features import extract
from classifier.types import AnswerType, Estimate, Turn
from router.commands.estimate import tier_by
from router.decision.policy import Policy
from router.types import Tier

MODEL = artifact.load()
ASSUMED = MODEL.parameters.consumer
assert ASSUMED is not None
HEAD = ConsumerHead(ASSUMED)
TIER_FOR = tier_by(Policy(version=0))

MAIL = (
    "Dear all,\n\nthe boiler in the hall will be exchanged on Monday. Please leave the keys with Mrs Aldous, who "
    "lives opposite, and take the chairs out of the back room by Sunday evening. There is no heating until Wednesday."
    "Kind regards,\nP. Oakes\n"
)
TRIVIAL = [
    "thanks!",
    "hi",
    "good morning :)",
    "danke dir!",
    "merci beaucoup",
    "what's the capital of france",
    "ありがとう",
]
EASY = [
    "give me a recipe for banana bread",
    "fix the grammar: me and him goes to the store yesterday for buying milks",
    f"translate into German:\n\n{MAIL}",
    f"Summarise this mail in one sentence:\n\n{MAIL * 6}",
    "explain quantum entanglement like i'm five",
    "write a poem about my cat who loves to sleep in the sun",
]
HARD = [
    "Prove that there are infinitely many primes congruent to 3 mod 4.",
    "prove that every bounded monotone sequence of reals converges, then show that the limit of the sum is irrational",
    "Beweise, dass es unendlich viele Primzahlen der Form 4k+3 gibt.",
    "证明存在无穷多个形如4k+3的素数",
]


def estimate(text: str) -> Estimate:
    return MODEL.estimate([Turn("user", text)])


@pytest.mark.parametrize("text", [*TRIVIAL, *EASY])
def test_what_is_easy_goes_fast_however_long_it_is(text: str) -> None:
    assert TIER_FOR(estimate(text)) == Tier.FAST


@pytest.mark.parametrize("text", HARD)
def test_what_is_hard_goes_deep_however_short_it_is(text: str) -> None:
    assert TIER_FOR(estimate(text)) != Tier.FAST


def test_every_hard_one_scores_above_every_easy_one() -> None:
    for easy, hard in itertools.product([*TRIVIAL, *EASY], HARD):
        assert estimate(easy).score < estimate(hard).score


@pytest.mark.parametrize("instruction", ["Translate into Spanish:", "Summarise this in three bullet points:"])
def test_longer_material_changes_no_tier(instruction: str) -> None:
    scores = [estimate(f"{instruction}\n\n{MAIL * times}").score for times in (1, 4, 16)]
    assert max(scores) - min(scores) < 0.05


def test_the_case_of_letters_changes_nothing() -> None:
    assert estimate("how do i prune roses").score == estimate("HOW DO I PRUNE ROSES").score


def test_a_short_turn_leans_on_the_turn_before() -> None:
    def asked(before: str) -> float:
        turns = [Turn("user", before), Turn("assistant", "Yes, it can be."), Turn("user", "ok, show me for n = 5")]
        return MODEL.estimate(turns).score

    assert asked(HARD[0]) > asked("give me a recipe for banana bread")


def test_thanks_after_a_hard_question_are_still_thanks() -> None:
    turns = [Turn("user", HARD[0]), Turn("assistant", "Suppose there were finitely many."), Turn("user", "thank you!")]
    assert TIER_FOR(MODEL.estimate(turns)) == Tier.FAST


@pytest.mark.parametrize("text", ["", " ", "\n\t"])
def test_where_nothing_is_asked_the_head_says_nothing(text: str) -> None:
    assert HEAD.read(text, extract(text), read_cues(text)).word == NOTHING


@pytest.mark.parametrize("text", ["?", "🙂", "zxqv wkjh", "\ud800", "a" * 100_000])
def test_what_it_never_saw_goes_to_the_base_rate_and_not_deep(text: str) -> None:
    assert TIER_FOR(estimate(text)) == Tier.FAST


def test_exam_questions_are_left_to_the_experts() -> None:
    options = "\nA. it rises\nB. it falls\nC. it stays the same\nD. none of the above"
    word = MODEL.read([Turn("user", f"What happens to the equilibrium constant of an exothermic reaction?{options}")])
    assert word.consumer.odds < 0


def test_an_estimate_says_what_form_the_answer_has() -> None:
    assert estimate("Is 3599 prime?").answer_type is AnswerType.CHOICE


def test_a_turn_of_a_harness_asks_nothing() -> None:
    reminder = "<system-reminder>\nYour todo list is currently empty. Do not mention this.\n</system-reminder>"
    call = Turn("assistant", "", tool_calls=1)
    alone = MODEL.estimate([Turn("user", HARD[1]), call]).score
    assert MODEL.estimate([Turn("user", HARD[1]), call, Turn("user", reminder)]).score == alone
