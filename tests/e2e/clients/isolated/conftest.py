# mypy: ignore-errors
"""Where the instance under test is; these suites run in environments of their own, by scripts/clients."""

import os

import pytest

# What tests that others wrote are about, by words of their names.
BY_NAME = {
    "stream": "stream",
    "tool": "tools",
    "tool_choice": "tool_choice",
    "structured": "response_format",
    "usage": "usage",
    "picture": "image_url",
    "stop": "stop",
    "name": "messages",
    "invoke": "messages",
    "conversation": "messages",
    "batch": "messages",
}
URL = os.environ.get("TIERWISE_TEST_URL", "").removesuffix("/").removesuffix("/v1") + "/v1"
KEY = os.environ.get("TIERWISE_TEST_KEY", "none")


def pytest_configure(config):
    config.addinivalue_line("markers", "covers(*parameters): what of the API a test exercises; for the docs")


def pytest_collection_modifyitems(items):
    for item in items:
        covered = [name for marker in item.iter_markers("covers") for name in marker.args]
        covered = covered or [covered for word, covered in BY_NAME.items() if word in item.originalname]
        item.user_properties.append(("covers", "|".join(covered)))


@pytest.fixture(scope="session")
def url():
    return URL


@pytest.fixture(scope="session")
def key():
    return KEY
