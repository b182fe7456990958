# mypy: ignore-errors
"""instructor over the OpenAI client, in each of its modes."""

import instructor
import pytest
from openai import AsyncOpenAI, OpenAI
from pydantic import BaseModel


class User(BaseModel):
    name: str
    age: int


SAID = [{"role": "user", "content": "Jason is 25 years old."}]
MODES = [instructor.Mode.TOOLS, instructor.Mode.JSON_SCHEMA]
TIERS = ["auto", "fast", "reasoning", "parallel"]


@pytest.fixture(params=MODES, ids=lambda mode: mode.value)
def client(request, url, key):
    return instructor.from_openai(OpenAI(base_url=url, api_key=key, max_retries=0), mode=request.param)


@pytest.mark.covers("response_format", "tools", "tool_choice")
@pytest.mark.parametrize("model", TIERS)
def test_a_model_is_filled(client, model):
    made = client.chat.completions.create(model=model, messages=SAID, response_model=User, max_retries=0)
    assert isinstance(made, User)


@pytest.mark.covers("usage")
def test_the_raw_completion_comes_along(client):
    made, raw = client.chat.completions.create_with_completion(model="auto", messages=SAID, response_model=User)
    assert isinstance(made, User)
    assert raw.usage.total_tokens > 0


@pytest.mark.covers("stream")
@pytest.mark.parametrize("model", TIERS)
def test_partial_models_stream(client, model):
    parts = list(client.chat.completions.create_partial(model=model, messages=SAID, response_model=User))
    assert parts[-1].name is not None


@pytest.mark.covers("stream", "tools")
@pytest.mark.skip(reason="its schema requires nothing, and the scripted model says no more than is required")
def test_iterables_stream(client):
    users = list(client.chat.completions.create_iterable(model="auto", messages=SAID, response_model=User))
    assert all(isinstance(user, User) for user in users)


@pytest.mark.covers("response_format")
async def test_async(url, key):
    client = instructor.from_openai(AsyncOpenAI(base_url=url, api_key=key), mode=instructor.Mode.TOOLS)
    assert isinstance(await client.chat.completions.create(model="auto", messages=SAID, response_model=User), User)
