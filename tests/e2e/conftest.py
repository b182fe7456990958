"""One served instance for all end-to-end tests, or the one that TIERWISE_TEST_URL names."""

from collections.abc import Iterator

import pytest

from scripts.showcase.serving import Instance, given, serve


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "covers(*parameters): what of the API a test exercises; for the docs")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        covered = [name for marker in item.iter_markers("covers") for name in marker.args]
        item.user_properties.append(("covers", "|".join(covered)))


@pytest.fixture(scope="session")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    """Serve once a session."""
    if (named := given()) is not None:
        yield named
        return
    with serve(tmp_path_factory.mktemp("served")) as served:
        yield served
