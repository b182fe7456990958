from pathlib import Path

import pytest

from router.admin.auth.secrets import AdminSecret
from tests.commands.conftest import Command


def test_a_reset_prints_a_secret_that_opens(tierwise: Command, here: Path) -> None:
    first, second = tierwise("admin", "reset").out.strip(), tierwise("admin", "reset").out.strip()
    door = AdminSecret(here / "var", {})
    assert (door.opens(first), door.opens(second)) == (False, True)


def test_a_reset_says_when_the_environment_overrides_it(tierwise: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIERWISE_ADMIN_SECRET", "other")
    assert "overrides" in tierwise("admin", "reset").err


def test_a_state_directory_that_cannot_be_made_is_told_in_one_line(tierwise: Command) -> None:
    Path("var").write_text("a file is in the way")
    for command in (("keys", "create", "app"), ("serve",), ("admin", "reset")):
        ran = tierwise(*command)
        assert (ran.code, ran.err.startswith("tierwise: state_dir: var cannot be made")) == (2, True), command
