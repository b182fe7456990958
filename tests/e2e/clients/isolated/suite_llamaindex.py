# mypy: ignore-errors
"""LlamaIndex with OpenAILike."""

from itertools import pairwise

import pytest
from llama_index.core.llms import ChatMessage
from llama_index.core.tools import FunctionTool
from llama_index.llms.openai_like import OpenAILike
from pydantic import BaseModel


class Song(BaseModel):
    title: str
    seconds: int


@pytest.fixture(params=["auto", "fast", "reasoning", "parallel"])
def llm(request, url, key):
    return OpenAILike(
        model=request.param,
        api_base=url,
        api_key=key,
        is_chat_model=True,
        is_function_calling_model=True,
        context_window=8000,
        max_retries=0,
    )


SAID = [ChatMessage(role="system", content="Be brief."), ChatMessage(role="user", content="Why is the sky blue?")]


@pytest.mark.covers("messages")
def test_complete_and_chat(llm):
    assert llm.complete("Why is the sky blue?").text
    reply = llm.chat(SAID)
    assert reply.message.content
    assert reply.raw.usage.total_tokens > 0


@pytest.mark.covers("stream")
def test_streams_grow(llm):
    texts = [step.message.content for step in llm.stream_chat(SAID)]
    assert texts[-1]
    assert all(later.startswith(earlier) for earlier, later in pairwise(texts) if earlier)
    assert list(llm.stream_complete("Hi"))[-1].text


@pytest.mark.covers("messages", "stream")
async def test_async(llm):
    assert (await llm.achat(SAID)).message.content
    texts = [step.message.content async for step in await llm.astream_chat(SAID)]
    assert texts[-1]


@pytest.mark.covers("tools", "tool_choice")
def test_tools_are_called(llm):
    def multiply(a: int, b: int) -> int:
        """Multiply two numbers."""
        return a * b

    reply = llm.predict_and_call([FunctionTool.from_defaults(multiply)], user_msg="Multiply 6 and 7")
    assert reply.sources[0].tool_name == "multiply"


@pytest.mark.covers("response_format", "tools")
def test_structured_output(llm):
    made = llm.as_structured_llm(Song).chat([ChatMessage(role="user", content="A song about rain")])
    assert isinstance(made.raw, Song)
