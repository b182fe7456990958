"""A few questions to the model that is always there, through OpenAI's own client."""

from collections.abc import Iterator

import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam

from scripts.showcase.serving import Instance, serve

CONFIG = """
database_url = "sqlite:///{directory}/tierwise.db"
state_dir = "{directory}/state"
[server]
port = 0
shutdown_timeout_s = 3
"""
SKY: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Why is the sky blue? One sentence, please."}]


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    with serve(tmp_path_factory.mktemp("embedded"), CONFIG) as instance:
        yield instance


@pytest.fixture
def client(embedded: Instance) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=embedded.v1, api_key=embedded.key, max_retries=0, timeout=120) as made:
        yield made


def test_auto_gives_a_real_answer_and_its_decision(client: openai.OpenAI) -> None:
    raw = client.chat.completions.with_raw_response.create(model="auto", messages=SKY, max_tokens=40)
    answer = raw.parse()
    assert answer.choices[0].message.content
    assert answer.usage is not None
    assert answer.usage.completion_tokens > 0
    assert raw.headers["x-tierwise-tier"] in {"fast", "reasoning", "parallel"}


def test_a_stream_comes_token_by_token_with_exact_usage(client: openai.OpenAI) -> None:
    stream = client.chat.completions.create(
        model="fast",
        messages=SKY,
        max_tokens=24,
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = list(stream)
    pieces = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices and chunk.choices[0].delta.content]
    assert len(pieces) > 5
    assert chunks[-1].usage is not None
    assert 0 < chunks[-1].usage.completion_tokens <= 24


def test_reasoning_thinks_first_and_shows_it_apart(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model="reasoning", messages=SKY, max_tokens=24)
    message = answer.choices[0].message.model_dump()
    assert message["reasoning_content"]
    assert message["reasoning_content"] == message["reasoning"]
    assert answer.usage is not None
    assert answer.usage.completion_tokens_details is not None
    assert answer.usage.completion_tokens_details.reasoning_tokens


def test_parallel_samples_and_books_every_one(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(
        model="parallel",
        messages=[{"role": "user", "content": "What is 2 + 2? Reply with the number."}],
        max_tokens=16,
    )
    told = answer.model_dump()["x_tierwise"]
    assert told["tier"] == "parallel"
    assert answer.usage is not None
    assert answer.usage.prompt_tokens > 0


def test_a_conversation_that_is_too_long_for_the_model_is_refused_by_name(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="fast", messages=[{"role": "user", "content": "word " * 4_000}])
    assert caught.value.code == "context_length_exceeded"
