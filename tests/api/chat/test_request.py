from router.api.chat.request import chat_of


def test_a_function_tool_keeps_its_own_keys_only() -> None:
    function = {"name": "look", "parameters": {}, "api_key": "EVIL"}
    tools = [{"type": "function", "function": function, "api_base": "http://evil"}]
    request = chat_of({"model": "auto", "messages": [{"role": "user", "content": "x"}], "tools": tools}, strict=False)
    assert request.tools == [{"type": "function", "function": {"name": "look", "parameters": {}}}]
