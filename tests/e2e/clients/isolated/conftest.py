# mypy: ignore-errors
"""Where the instance under test is; these suites run in environments of their own, by scripts/clients."""

import os

import pytest

URL = os.environ.get("TIERWISE_TEST_URL", "").removesuffix("/").removesuffix("/v1") + "/v1"
KEY = os.environ.get("TIERWISE_TEST_KEY", "none")


def pytest_configure(config):
    config.addinivalue_line("markers", "covers(*parameters): what of the API a test exercises; for the docs")


def pytest_collection_modifyitems(items):
    for item in items:
        covered = [name for marker in item.iter_markers("covers") for name in marker.args]
        item.user_properties.append(("covers", "|".join(covered)))


@pytest.fixture(scope="session")
def url():
    return URL


@pytest.fixture(scope="session")
def key():
    return KEY
