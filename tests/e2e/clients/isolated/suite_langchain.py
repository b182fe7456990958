# mypy: ignore-errors
"""LangChain's own integration tests for chat models, with ChatOpenAI pointed at each tier."""

import os

from langchain_core.messages import HumanMessage
from langchain_openai import ChatOpenAI
from langchain_tests.integration_tests import ChatModelIntegrationTests


class Tierwise(ChatModelIntegrationTests):
    tier = "auto"
    supports_image_inputs = False  # the standard test fetches its picture from the internet; ours is below
    supports_json_mode = False  # the standard test names its keys in prose, which the scripted model does not read
    has_tool_choice = True

    @property
    def chat_model_class(self):
        return ChatOpenAI

    @property
    def chat_model_params(self):
        base_url = os.environ["TIERWISE_TEST_URL"].removesuffix("/").removesuffix("/v1") + "/v1"
        return {
            "model": self.tier,
            "base_url": base_url,
            "api_key": os.environ["TIERWISE_TEST_KEY"],
            "stream_usage": True,
            "max_retries": 0,
        }

    def test_a_picture_is_taken(self, model):
        pixel = "R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw=="
        picture = {"type": "image_url", "image_url": {"url": f"data:image/gif;base64,{pixel}"}}
        parts = [{"type": "text", "text": "What is this?"}, picture]
        assert model.invoke([HumanMessage(parts)]).content


class TestAuto(Tierwise):
    tier = "auto"


class TestReasoning(Tierwise):
    tier = "reasoning"


class TestParallel(Tierwise):
    tier = "parallel"


del Tierwise, ChatModelIntegrationTests
