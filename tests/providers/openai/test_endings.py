import pytest

from router.providers.openai.endings import ending_of, heavier, is_failure


@pytest.mark.parametrize(
    ("reason", "ending"),
    [
        ("stop", "stop"),
        ("", "stop"),
        (None, "stop"),
        ("eos", "stop"),
        ("MAX_TOKENS", "length"),
        ("FinishReason.MAX_TOKENS", "length"),
        ("FINISH_REASON_SAFETY", "content_filter"),
        ("content-filter", "content_filter"),
        ("sensitive", "content_filter"),
        ("never heard of", "stop"),
    ],
)
def test_words_of_vendors_are_those_of_openai(reason: str | None, ending: str) -> None:
    assert ending_of(reason, has_calls=False) == ending


@pytest.mark.parametrize("reason", ["stop", None, "tool_use", "function_call", "eos"])
def test_calls_end_in_tool_calls(reason: str | None) -> None:
    assert ending_of(reason, has_calls=True) == "tool_calls"


def test_a_tool_that_the_client_named_may_end_in_stop_as_at_openai() -> None:
    assert ending_of("stop", has_calls=True, names_tool=True) == "stop"
    assert ending_of("tool_calls", has_calls=True, names_tool=True) == "tool_calls"


def test_calls_that_are_not_there_end_nothing() -> None:
    assert ending_of("tool_calls", has_calls=False) == "stop"


def test_a_limit_stays_one_beside_calls() -> None:
    assert ending_of("length", has_calls=True) == "length"


@pytest.mark.parametrize(("one", "other"), [("stop", "length"), ("length", "stop"), ("length", "tool_calls")])
def test_of_two_reasons_the_one_counts_that_says_more(one: str, other: str) -> None:
    assert heavier(one, other) == "length"


def test_an_empty_answer_may_be_a_failure_that_a_full_one_is_not() -> None:
    assert is_failure("MALFORMED_FUNCTION_CALL", has_said=False)
    assert not is_failure("MALFORMED_FUNCTION_CALL", has_said=True)
    assert is_failure("insufficient_system_resource", has_said=True)
