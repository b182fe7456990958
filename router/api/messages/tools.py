"""Tools and the choice among them, from Anthropic's form to functions.

Tools that the client runs and that Anthropic's models know by their type (a shell, a text editor, a memory) become
functions with the schema that Anthropic publishes, so that any model can call them. Tools that Anthropic's servers
run (web search, code execution, ...) are run nowhere here: they are left out and named.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from router.errors import InvalidRequest
from router.providers.state import CACHE_CONTROL, cache_mark

TEXT = {"type": "string"}
LINES = {"type": "array", "items": {"type": "integer"}, "description": "first and last line, from 1; -1 is the end"}


def _schema(required: Sequence[str], **properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(required)}


def _commands(*names: str) -> dict[str, Any]:
    return {"type": "string", "enum": list(names)}


# What stands before the date in a type: what the tool is for, and what it takes.
CLIENT_TOOLS: Mapping[str, tuple[str, dict[str, Any]]] = {
    "bash": (
        "Run a command in a shell that stays open between calls.",
        _schema((), command=TEXT, restart={"type": "boolean", "description": "start the shell anew"}),
    ),
    "text_editor": (
        "View, create and edit files.",
        _schema(
            ("command", "path"),
            command=_commands("view", "create", "str_replace", "insert", "undo_edit"),
            path=TEXT,
            file_text=TEXT,
            old_str=TEXT,
            new_str=TEXT,
            insert_line={"type": "integer"},
            insert_text=TEXT,
            view_range=LINES,
        ),
    ),
    "memory": (
        "Read and write files under /memories that last beyond this conversation.",
        _schema(
            ("command",),
            command=_commands("view", "create", "str_replace", "insert", "delete", "rename"),
            path=TEXT,
            file_text=TEXT,
            old_str=TEXT,
            new_str=TEXT,
            insert_line={"type": "integer"},
            insert_text=TEXT,
            old_path=TEXT,
            new_path=TEXT,
            view_range=LINES,
        ),
    ),
}


def function_tools(tools: Sequence[dict[str, Any]]) -> tuple[list[dict[str, Any]] | None, list[str]]:
    """Return the tools as functions, and the names of those left out; raises InvalidRequest naming `tools.i...`."""
    functions, left_out = [], []
    for position, tool in enumerate(tools):
        where = f"tools.{position}"
        name, kind = tool.get("name"), tool.get("type") or "custom"
        if not isinstance(name, str) or not name:
            raise InvalidRequest("Field required", param=f"{where}.name", code="missing_required_parameter")
        if kind == "custom":
            function = _custom(tool, name, where)
        elif isinstance(kind, str) and (known := CLIENT_TOOLS.get(kind.rpartition("_")[0])):
            function = {"name": name, "description": known[0], "parameters": known[1]}
        else:
            left_out.append(f"{where} ({str(kind)[:64]})")
            continue
        mark = cache_mark(tool.get(CACHE_CONTROL))
        marked = {} if mark is None else {CACHE_CONTROL: mark}
        functions.append({"type": "function", "function": function, **marked})
    return functions or None, left_out


def tool_choice_of(choice: Mapping[str, Any] | None, tools: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return `tool_choice` and `parallel_tool_calls`; a choice of a tool that was left out leaves it open."""
    if choice is None:
        return {}
    chosen: dict[str, Any] = {}
    match choice.get("type"):
        case "auto":
            chosen["tool_choice"] = "auto"
        case "none":
            chosen["tool_choice"] = "none"
        case "any":
            chosen["tool_choice"] = "required"
        case "tool":
            name = choice.get("name")
            if not isinstance(name, str) or not name:
                raise InvalidRequest("Field required", param="tool_choice.name", code="missing_required_parameter")
            if any(tool["function"]["name"] == name for tool in tools):
                chosen["tool_choice"] = {"type": "function", "function": {"name": name}}
        case _:
            message = "a tool choice's type is auto, any, tool or none"
            raise InvalidRequest(message, param="tool_choice.type", code="invalid_value")
    if choice.get("disable_parallel_tool_use") is True:
        chosen["parallel_tool_calls"] = False
    return chosen


def _custom(tool: Mapping[str, Any], name: str, where: str) -> dict[str, Any]:
    schema, description = tool.get("input_schema"), tool.get("description")
    if not isinstance(schema, dict):
        raise InvalidRequest("a JSON schema is required", param=f"{where}.input_schema", code="invalid_type")
    function: dict[str, Any] = {"name": name, "parameters": schema}
    if isinstance(description, str):
        function["description"] = description
    if isinstance(tool.get("strict"), bool):
        function["strict"] = tool["strict"]
    return function
