# mypy: ignore-errors
"""The `llm` command with Tierwise as an extra OpenAI model."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

LLM = str(Path(sys.executable).with_name("llm"))


@pytest.fixture
def llm(tmp_path, url, key):
    tiers = ("auto", "fast", "reasoning", "parallel")
    models = [
        {
            "model_id": f"tierwise-{tier}",
            "model_name": tier,
            "api_base": url,
            "api_key_name": "tierwise",
            "supports_schema": True,
            "supports_tools": True,
        }
        for tier in tiers
    ]
    (tmp_path / "extra-openai-models.yaml").write_text(json.dumps(models))
    (tmp_path / "keys.json").write_text(json.dumps({"tierwise": key}))
    environment = os.environ | {"LLM_USER_PATH": str(tmp_path)}

    def run(*arguments):
        done = subprocess.run(
            [LLM, *arguments], capture_output=True, text=True, env=environment, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    return run


TIERS = pytest.mark.parametrize("tier", ["auto", "fast", "reasoning", "parallel"])


@pytest.mark.covers("stream")
@TIERS
def test_a_prompt_is_answered_streamed_and_whole(llm, tier):
    assert llm("-m", f"tierwise-{tier}", "Why is the sky blue?")
    assert llm("-m", f"tierwise-{tier}", "--no-stream", "-s", "Be brief.", "Why is the sky blue?")


@pytest.mark.covers("messages", "usage")
def test_a_conversation_goes_on_and_is_logged(llm):
    llm("-m", "tierwise-auto", "Why is the sky blue?")
    assert llm("-c", "And at sunset?")
    logged = json.loads(llm("logs", "list", "--json"))
    assert len({entry["conversation_id"] for entry in logged}) == 1
    assert all(entry["input_tokens"] and entry["output_tokens"] for entry in logged)


@pytest.mark.covers("response_format")
@TIERS
def test_a_schema_is_kept(llm, tier):
    assert "name" in json.loads(llm("-m", f"tierwise-{tier}", "--schema", "name, age int", "invent a dog"))


@pytest.mark.covers("tools")
def test_a_function_is_called(llm):
    code = "def multiply(a: int, b: int) -> int:\n    'Multiply two numbers.'\n    return a * b"
    assert llm("-m", "tierwise-auto", "--functions", code, "multiply 6 and 7")


@pytest.mark.covers("temperature", "max_tokens", "seed", "stop")
def test_options_are_passed(llm):
    options = ("-o", "temperature", "0.2", "-o", "max_tokens", "5", "-o", "seed", "3", "-o", "stop", "zzz")
    assert llm("-m", "tierwise-fast", *options, "Why is the sky blue?")
