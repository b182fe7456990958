from typing import Any

from router.api.chat.response import usage_body, wire_choice, wire_delta, wire_logprobs
from router.providers.base import Choice, Delta
from router.types import Usage

CALL = {"index": 0, "id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}


def test_usage_adds_up_with_every_bucket_in_its_place() -> None:
    told = usage_body(Usage(5, 3, 2, 7, 11))
    assert (told["prompt_tokens"], told["completion_tokens"], told["total_tokens"]) == (10, 18, 28)
    assert told["prompt_tokens_details"] == {"cached_tokens": 3, "cache_write_tokens": 2, "audio_tokens": 0}
    assert told["completion_tokens_details"]["reasoning_tokens"] == 11


def test_a_call_that_a_backend_left_without_id_and_type_has_both() -> None:
    message = wire_choice(Choice(tool_calls=[{"function": {"name": "f"}}]), legacy_functions=False).message
    assert message.tool_calls == [{"id": "call_0", "type": "function", "function": {"name": "f", "arguments": ""}}]


def test_a_call_of_another_kind_stays_as_it_is() -> None:
    custom = {"id": "c", "type": "custom", "custom": {"name": "f", "input": "x"}}
    assert wire_choice(Choice(tool_calls=[custom]), legacy_functions=False).message.tool_calls == [custom]


def test_legacy_clients_get_the_first_call_as_their_function_call() -> None:
    choice = wire_choice(Choice(tool_calls=[CALL, CALL], finish_reason="tool_calls"), legacy_functions=True)
    assert choice.message.function_call == {"name": "f", "arguments": "{}"}
    assert choice.finish_reason == "function_call"


def test_legacy_clients_see_no_part_of_a_second_call() -> None:
    second: dict[str, Any] = {**CALL, "index": 1}
    assert wire_delta(Delta(tool_calls=[CALL]), legacy_functions=True).function_call == CALL["function"]
    assert wire_delta(Delta(tool_calls=[second]), legacy_functions=True).function_call is None


def test_log_probabilities_have_the_keys_that_backends_leave_out() -> None:
    assert wire_logprobs(None) is None
    assert wire_logprobs({"content": [{"token": "a", "logprob": -1.0}]}) == {
        "content": [{"token": "a", "logprob": -1.0, "bytes": None, "top_logprobs": []}],
        "refusal": None,
    }
