"""What is believed of a report of usage, and what a call costs of which nobody reported anything."""

import pytest

from router.providers import counting
from router.providers.base import Metered, ProviderRequest
from router.providers.plausibility import estimate_cut, estimate_usage, hold_against
from router.types import Precision, Usage
from tests.providers.shapes import a_request

TEXT = "The quick brown fox jumps over the lazy dog. " * 20  # about 200 tokens


def judged(
    input_tokens: int, output: int, text: str = TEXT, *, thinking: str = "", reasoning: int = 0, seconds: float = 2.0
) -> Metered:
    usage = Usage(input_fresh=input_tokens, output_visible=output, output_reasoning=reasoning)
    reported = Metered(usage, Precision.EXACT, {"told": 1})
    return hold_against(reported, a_request(), [text], [thinking], body_bytes=200, seconds=seconds)


@pytest.mark.parametrize("output", [120, 200, 400, 3_000])
def test_a_report_that_can_be_true_is_believed(output: int) -> None:
    assert judged(10, output) == Metered(Usage(input_fresh=10, output_visible=output), Precision.EXACT, {"told": 1})


def test_a_report_that_can_be_true_reads_no_vocabulary(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise AssertionError("a vocabulary of 75 MB was read")

    monkeypatch.setattr(counting, "_encoding", refuse)
    assert judged(60, 200).precision is Precision.EXACT


def test_much_input_is_believed_because_providers_add_to_it() -> None:
    assert judged(29_534, 200).precision is Precision.EXACT


def test_thinking_that_does_not_show_is_believed() -> None:
    assert judged(10, 200, reasoning=40_000, seconds=60).precision is Precision.EXACT


@pytest.mark.parametrize("output", [0, 1, 20, 100])
def test_less_than_the_text_is_counted_and_flagged(output: int) -> None:
    metered = judged(10, output)
    assert metered.precision is Precision.ESTIMATED
    assert metered.usage.input_fresh == 10
    assert 150 < metered.usage.output_visible < 250


def test_no_input_cannot_be_and_the_output_told_stays() -> None:
    metered = judged(0, 210)
    assert metered.precision is Precision.ESTIMATED
    assert metered.usage.input_fresh > 5
    assert metered.usage.output_visible == 210


def test_a_question_far_longer_than_its_tokens_is_counted() -> None:
    request = a_request(text=TEXT * 50)
    reported = Metered(Usage(input_fresh=3, output_visible=200), Precision.EXACT)
    metered = hold_against(reported, request, [TEXT], [], body_bytes=50 * len(TEXT), seconds=2)
    assert metered.precision is Precision.ESTIMATED
    assert metered.usage.input_fresh > 5_000


@pytest.mark.parametrize("output", [1 << 30, 500_000])
def test_numbers_without_end_are_counted(output: int) -> None:
    assert judged(10, output).usage.output_visible < 250


def test_all_of_it_thinking_beside_visible_text_is_split() -> None:
    metered = judged(10, 0, reasoning=300)
    assert metered.precision is Precision.ESTIMATED
    assert metered.usage.output_tokens == 300
    assert metered.usage.output_visible > 150


def test_an_empty_answer_may_report_nothing() -> None:
    assert judged(10, 0, "").precision is Precision.EXACT


def cut(visible: str = "", thinking: str = "", *, silent: float = 3.0, most: int = 10_000, **changes: object) -> Usage:
    request: ProviderRequest = a_request(**changes)  # type: ignore[arg-type]
    metered = estimate_cut(request, [visible], [thinking], most_output=most, silent_seconds=silent)
    assert metered.precision is Precision.ESTIMATED
    return metered.usage


def test_a_call_cut_in_silence_may_have_written_what_its_time_allows() -> None:
    assert cut() == Usage(input_fresh=cut().input_fresh, output_visible=300)
    assert cut(most=50).output_visible == 50


def test_a_call_cut_in_its_answer_costs_what_came() -> None:
    assert cut(TEXT) == estimate_usage(a_request(), [TEXT], []).usage


def test_thinking_that_does_not_show_is_estimated_by_the_silence_before_the_answer() -> None:
    assert cut(TEXT, think=True).output_reasoning == 300
    assert cut(TEXT, think=True, silent=1_000.0).output_reasoning == 8_192
    assert cut(TEXT, "Hm.", think=True).output_reasoning < 10
