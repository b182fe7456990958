"""The unit: accepted by systemd, shut in, and stopped no sooner than a drain may take."""

import re
import shutil
from pathlib import Path

import pytest

from router.settings import ServerSettings
from tests.deploy.tools import DEPLOY, complaints

UNIT = (DEPLOY / "systemd" / "tierwise.service").read_text(encoding="utf-8")
MOST_EXPOSURE = 20  # in tenths of systemd's measure from 0 to 10


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The unit with a program that is there, since systemd looks for it."""
    path = tmp_path / "tierwise.service"
    path.write_text(re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", UNIT, flags=re.MULTILINE))
    return path


def analyze() -> str:
    """systemd's own judge; skips the test where there is none."""
    found = shutil.which("systemd-analyze")
    if found is None:
        pytest.skip("systemd-analyze is not installed: apt-get install systemd")
    return found


def test_systemd_accepts_it(unit: Path) -> None:
    assert complaints(analyze(), "verify", unit) == ""


def test_systemd_finds_little_exposed(unit: Path) -> None:
    assert complaints(analyze(), "security", "--offline=true", f"--threshold={MOST_EXPOSURE}", unit) == ""


def test_it_is_killed_only_after_it_could_drain() -> None:
    server = ServerSettings()
    (stop_s,) = re.findall(r"^TimeoutStopSec=(\d+)$", UNIT, re.MULTILINE)
    assert int(stop_s) >= server.drain_pause_s + server.shutdown_timeout_s + 30


@pytest.mark.parametrize(
    "line",
    [
        "DynamicUser=yes",
        "ProtectSystem=strict",
        "StateDirectory=tierwise",
        "NoNewPrivileges=yes",
        "Restart=on-failure",
        "ExecReload=/bin/kill -HUP $MAINPID",
        "KillMode=mixed",
    ],
)
def test_it_says(line: str) -> None:
    assert line in UNIT.splitlines()


def test_checkers_may_bound_themselves() -> None:
    assert "SystemCallFilter=~@privileged" in UNIT.splitlines()  # and not @resources, which has setrlimit
