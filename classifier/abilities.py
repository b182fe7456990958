"""Names of models: many spellings of one model become one name, under which its ability is kept."""

import re
from functools import lru_cache

_DATE = re.compile(r"-(?:20\d\d-?\d\d-?\d\d|\d{8}|2[3-6]\d\d|0[1-9][0-3]\d|v0\d*(?:-\d+)*)(?=-|$)")
_DECORATION = re.compile(r"-(?:instruct|inst|chat|it|latest|preview|beta|exp|hf|fp8)(?=-|$)")
_UNDER_A_DATE = re.compile(r"^gpt-4-(?:1106|0125)(?:-vision)?-preview$")  # what is gpt-4-turbo since
_VENDOR = re.compile(
    r"^(?:openai|anthropic|google|gemini|meta-llama|meta|mistralai|mistral-ai|deepseek|qwen|x-ai|xai|azure|bedrock|"
    r"vertex-ai|openrouter|groq|together-ai|fireworks-ai|ollama|ollama-chat|huggingface|models)[/_]"
)


@lru_cache(maxsize=4096)
def canonical(name: str) -> str:
    """One spelling: no provider, no date, no packaging, dashes only.

    >>> canonical("openrouter/anthropic/claude-3.5-sonnet-20241022")
    'claude-3-5-sonnet'
    """
    name = name.strip().lower().split("@")[0]
    while (shorter := _VENDOR.sub("", name)) != name:
        name = shorter
    name = re.sub(r"[^a-z0-9]+", "-", name.rsplit("/", 1)[-1]).strip("-")
    name = re.sub(r"^(?:meta-)(?=llama)", "", name)
    name = re.sub(r"^([a-z]+)(?=\d)", r"\1-", name) if name.startswith(("llama", "claude")) else name
    name = _UNDER_A_DATE.sub("gpt-4-turbo", name)
    while (shorter := _DECORATION.sub("", _DATE.sub("", name))) != name:
        name = shorter
    return name
