"""One admin plane for all tests that leave it usable, and people in it."""

from collections.abc import Iterator

import pytest

from tests.admin.visitors import Plane, Visitor, plane


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plane]:
    with plane(tmp_path_factory.mktemp("admin")) as found:
        yield found


@pytest.fixture(scope="session")
def admin(running: Plane) -> Visitor:
    visitor = Visitor(running)
    visitor.enter()
    return visitor


@pytest.fixture(scope="session")
def viewer(running: Plane) -> Visitor:
    visitor = Visitor(running, "10.0.0.2")
    visitor.enter("only looking", "Vic")
    return visitor


@pytest.fixture
def stranger(running: Plane) -> Visitor:
    return Visitor(running, "10.0.0.3")
