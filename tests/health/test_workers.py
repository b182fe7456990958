"""Two processes and one file: what one learns the other heeds."""

import subprocess
import sys
from pathlib import Path

from router.clock import SystemClock
from router.errors import Cause
from router.health.breaker import STREAK, Admission
from router.health.targets import HealthBook, TargetHealth

LEARN = """
import sys
from pathlib import Path
from router.clock import SystemClock
from router.errors import Cause
from router.health.targets import HealthBook
target = HealthBook(SystemClock(), Path(sys.argv[1])).target("openai/m", None, "key")
for _ in range(int(sys.argv[2])):
    target.fail(Cause.UNREACHABLE, None, is_trial=False)
print(target.breaker.read().state)
"""


def learn(directory: Path, failures: int) -> str:
    """See a model fail so often in a process of its own; returns what that says of its breaker."""
    command = [sys.executable, "-c", LEARN, str(directory), str(failures)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def here(directory: Path) -> TargetHealth:
    return HealthBook(SystemClock(), directory).target("openai/m", None, "key")


def test_failures_of_two_processes_add_up(tmp_path: Path) -> None:
    target = here(tmp_path)
    for _ in range(STREAK - 1):
        target.fail(Cause.UNREACHABLE, None, is_trial=False)
    assert target.breaker.admit(1.0) is Admission.GRANTED
    assert learn(tmp_path, 1) == "open"
    assert target.breaker.admit(1.0) is Admission.REFUSED


def test_a_process_that_starts_later_knows(tmp_path: Path) -> None:
    assert learn(tmp_path, STREAK) == "open"
    assert here(tmp_path).breaker.admit(1.0) is Admission.REFUSED


def test_no_key_stands_in_the_file(tmp_path: Path) -> None:
    here(tmp_path).fail(Cause.UNREACHABLE, None, is_trial=False)
    content = (tmp_path / "health.map").read_bytes()
    assert b"openai" not in content
    assert b"key" not in content
