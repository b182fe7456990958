from pathlib import Path

from tests.commands.conftest import Command


def test_an_absent_database_is_told_and_not_made(tierwise: Command, here: Path) -> None:
    ran = tierwise("db", "check")
    assert (ran.code, "does not exist" in ran.out) == (1, True)
    assert list(here.iterdir()) == []


def test_an_upgraded_database_is_up_to_date(tierwise: Command) -> None:
    assert tierwise("db", "upgrade").code == 0
    assert tierwise("db", "check").code == 0
    assert tierwise("db", "upgrade").code == 0


def test_a_database_that_is_none_is_told_in_one_line(tierwise: Command) -> None:
    Path("tierwise.toml").write_text('database_url = "mysql://nowhere"\n')
    for command in ("upgrade", "check"):
        ran = tierwise("db", command)
        assert (ran.code, len(ran.err.splitlines())) == (2, 1), ran.err


def test_a_file_that_is_no_database_is_told_without_a_trace(tierwise: Command) -> None:
    Path("books.db").write_text("not a database, but a text that is long enough to be read as a page of one" * 20)
    Path("tierwise.toml").write_text('database_url = "sqlite:///books.db"\n')
    ran = tierwise("keys", "list")
    assert (ran.code, "books.db" in ran.err, "Traceback" in ran.err) == (2, True, False)
