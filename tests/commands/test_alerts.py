"""`tierwise alerts`, as an operator uses it."""

import json
from pathlib import Path

from typer.testing import CliRunner, Result

from router.commands import alerts as command
from router.notifications import alerts
from router.notifications.rules import AlertRule, Finding
from tests.builders.databases import open_books
from tests.notifications.test_webhooks import SECRET, receiving

FINDING = Finding(AlertRule.DRIFT, "scores", "2027-01-15", "warning", "It drifts", "0.4")


def types(directory: Path, more: str, *arguments: str) -> Result:
    config = directory / "tierwise.toml"
    config.write_text(f'database_url = "sqlite:///{directory}/books.db"\nstate_dir = "{directory}/state"\n{more}')
    return CliRunner().invoke(command.app, [*arguments, "--config", str(config)])


def test_an_alert_is_listed_and_acknowledged(tmp_path: Path) -> None:
    engine = open_books(f"sqlite:///{tmp_path}/books.db")
    alerts.raise_once(engine, [FINDING], ["log"], 1)
    engine.dispose()
    [listed] = json.loads(types(tmp_path, "", "list", "--format", "json").stdout)
    assert (listed["state"], listed["rule"], listed["waiting"]) == ("open", "drift", "log")
    assert "Look at Thresholds" in listed["next"]
    assert types(tmp_path, "", "acknowledge", listed["id"], "--by", "Ann").exit_code == 0
    assert types(tmp_path, "", "acknowledge", listed["id"]).exit_code == 2
    assert json.loads(types(tmp_path, "", "list", "--open", "--format", "json").stdout) == []


def test_a_test_says_of_every_channel_whether_it_arrived(tmp_path: Path) -> None:
    with receiving(204, 500) as receiver:
        hook = f'[alerts.webhook]\nurl = "{receiver.url}"\nsecret = "{SECRET}"\n'
        arrived = types(tmp_path, hook, "test", "--format", "json")
        lost = types(tmp_path, hook, "test", "--format", "json")
    assert (arrived.exit_code, lost.exit_code) == (0, 1)
    assert [row["state"] for row in json.loads(lost.stdout)] == ["ok", "bad"]
    assert json.loads(receiver.got[0][1])["data"]["rule"] == "test"
