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


def test_a_backup_holds_books_and_state_and_goes_over_no_other(tierwise: Command, here: Path) -> None:
    assert tierwise("db", "upgrade").code == 0
    assert tierwise("admin", "reset").code == 0
    ran = tierwise("db", "backup", "copy")
    assert (ran.code, ran.err) == (0, "")
    found = {path.relative_to(here).as_posix() for path in (here / "copy").rglob("*") if path.is_file()}
    assert found == {"copy/books/tierwise.db", "copy/state/admin-secret.argon2"}
    again = tierwise("db", "backup", "copy")
    assert (again.code, "is not empty" in again.err, again.out) == (2, True, "")


def test_a_backup_beside_postgresql_says_what_is_left_to_do(tierwise: Command) -> None:
    Path("tierwise.toml").write_text('database_url = "postgresql+psycopg://nobody@localhost/none"\n')
    assert "pg_dump" in tierwise("db", "backup", "copy").out
