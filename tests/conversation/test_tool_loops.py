from typing import Any

import pytest

from router.conversation.tool_loops import runs_tools

ASKED: list[dict[str, Any]] = [{"role": "user", "content": "How warm is it in Rome and Oslo?"}]
CALLED = {"role": "assistant", "content": None, "tool_calls": [{"id": "a"}, {"id": "b"}]}

REMINDER = "<system-reminder>The list of tasks is empty.</system-reminder>\n"


def result(call_id: str) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call_id, "content": "21"}


@pytest.mark.parametrize(
    ("messages", "runs"),
    [
        ([], False),
        (ASKED, False),
        ([*ASKED, CALLED], True),
        ([*ASKED, CALLED, result("a"), result("b")], True),
        ([*ASKED, CALLED, result("a"), {"role": "user", "content": "Go on"}], True),  # one call is still open
        ([*ASKED, CALLED, result("a"), result("b"), {"role": "user", "content": "Never mind."}], False),
        ([*ASKED, CALLED, result("a"), result("b"), {"role": "assistant", "content": "21 both"}], False),
        ([*ASKED, CALLED, result("a"), result("b"), {"role": "user", "content": REMINDER}], True),
        ([*ASKED, CALLED, result("a"), result("b"), {"role": "user", "content": [{"text": REMINDER}]}], True),
        ([*ASKED, CALLED, result("a"), result("b"), {"role": "system", "content": "Be brief."}], True),
        ([*ASKED, CALLED, result("a"), result("b"), {"role": "user", "content": f"{REMINDER} And Bonn?"}], False),
        ([*ASKED, CALLED, result("a"), result("b"), {"role": "user", "content": [{"image_url": {}}]}], False),
        ([{"role": "user", "content": REMINDER}], False),
        ([*ASKED, {"role": "assistant", "content": "Where?", "tool_calls": None}, *ASKED], False),
        ([*ASKED, {"role": "assistant", "function_call": {}}, {"role": "function", "content": "21"}], True),
    ],
)
def test_tools_run_while_a_result_is_last_or_a_call_is_open(messages: list[dict[str, Any]], runs: bool) -> None:
    assert runs_tools(messages) is runs
