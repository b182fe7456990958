import stat
from pathlib import Path

import pytest

from router.admin.auth.secrets import HASH_FILE, AdminSecret


def test_a_secret_is_made_and_shown_once(tmp_path: Path) -> None:
    shown = AdminSecret(tmp_path, {}).ensure()
    assert shown is not None
    assert AdminSecret(tmp_path, {}).ensure() is None
    assert AdminSecret(tmp_path, {}).opens(shown)


def test_only_a_hash_is_stored_and_only_the_owner_may_read_it(tmp_path: Path) -> None:
    secret = AdminSecret(tmp_path, {}).reset()
    stored = tmp_path / HASH_FILE
    assert secret not in stored.read_text()
    assert stat.S_IMODE(stored.stat().st_mode) == 0o600


def test_a_reset_forgets_the_old_secret(tmp_path: Path) -> None:
    door = AdminSecret(tmp_path, {})
    old, new = door.reset(), door.reset()
    assert (door.opens(old), door.opens(new)) == (False, True)


@pytest.mark.parametrize("wrong", ["", "guess", "ü", "\x00"])
def test_a_wrong_secret_does_not_open(tmp_path: Path, wrong: str) -> None:
    door = AdminSecret(tmp_path, {})
    door.ensure()
    assert not door.opens(wrong)


def test_nothing_opens_before_there_is_a_secret(tmp_path: Path) -> None:
    assert not AdminSecret(tmp_path, {}).opens("")


def test_a_damaged_hash_opens_nothing(tmp_path: Path) -> None:
    (tmp_path / HASH_FILE).write_text("not a hash")
    assert not AdminSecret(tmp_path, {}).opens("not a hash")


def test_the_variable_overrides_the_stored_secret(tmp_path: Path) -> None:
    stored = AdminSecret(tmp_path, {}).reset()
    door = AdminSecret(tmp_path, {"TIERWISE_ADMIN_SECRET": "from-environment"})
    assert (door.opens("from-environment"), door.opens(stored)) == (True, False)
    assert door.ensure() is None


def test_an_empty_variable_is_as_good_as_none(tmp_path: Path) -> None:
    door = AdminSecret(tmp_path, {"TIERWISE_ADMIN_SECRET": ""})
    assert not door.opens("")
    assert door.ensure() is not None


def test_the_state_directory_is_made_where_it_is_missing(tmp_path: Path) -> None:
    assert AdminSecret(tmp_path / "deep" / "state", {}).ensure() is not None
