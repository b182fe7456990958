"""The log of requests and of failures, as an operator reads it."""

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from router.errors import Cause, ProviderError, ProviderOverloaded
from router.providers.base import ModelTarget, ProviderRequest
from router.telemetry.failures import FailureLog, address_text
from router.telemetry.logs import JsonFormatter
from router.telemetry.request_log import RequestLine, RequestLog
from tests.ledger.builders import FakeClock

ASKED = [{"role": "user", "content": "Tell me about Popocatépetl"}]


def a_line(number: int = 1) -> RequestLine:
    return RequestLine(1_800_000_000_123_000, f"{number:032x}", "/v1/chat/completions", 200, 12)


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def a_request(**target: Any) -> ProviderRequest:
    return ProviderRequest(ModelTarget("openai/small", **target), ASKED, {})


class Failures:
    """A log of failures, what it counted, and its clock."""

    def __init__(self) -> None:
        self.counted: list[tuple[str, str, str]] = []
        self.clock = FakeClock()
        self.log = FailureLog(lambda *kind: self.counted.append(kind), self.clock, quiet_s=600)

    def overload(self, words: str = "openai/small: slow down", **target: Any) -> None:
        self.log.note(a_request(**target), ProviderOverloaded(words, provider_status=429))


def test_a_request_is_one_line_of_json(tmp_path: Path) -> None:
    log = RequestLog(str(tmp_path / "requests.log"))
    log.note(a_line())
    log.flush()
    [line] = lines_of(tmp_path / "requests.log")
    assert (line["time"], line["status"], line["ms"]) == ("2027-01-15T08:00:00.123Z", 200, 12)
    assert (tmp_path / "requests.log").stat().st_mode & 0o777 == 0o600
    log.stop()


def test_a_file_that_was_moved_away_is_opened_again(tmp_path: Path) -> None:
    path = tmp_path / "requests.log"
    log = RequestLog(str(path))
    for number in (1, 2):
        log.note(a_line(number))
        log.flush()
        path.rename(tmp_path / f"requests.{number}")
    log.stop()
    assert [len(lines_of(tmp_path / f"requests.{number}")) for number in (1, 2)] == [1, 1]


def test_lines_wait_for_a_file_that_cannot_be_written(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    log = RequestLog(str(tmp_path / "there" / "requests.log"))
    log.note(a_line())
    log.flush()
    log.flush()
    assert [record.getMessage() for record in caplog.records] == [
        f"requests cannot be logged to {tmp_path}/there/requests.log: No such file or directory"
    ]
    (tmp_path / "there").mkdir()
    log.flush()
    log.stop()
    assert len(lines_of(tmp_path / "there" / "requests.log")) == 1


def test_the_end_writes_what_waits(tmp_path: Path) -> None:
    log = RequestLog(str(tmp_path / "requests.log"), interval_s=3600)
    log.start()
    log.note(a_line())
    log.stop()
    assert len(lines_of(tmp_path / "requests.log")) == 1


def test_a_failure_is_said_with_everything_that_helps(caplog: pytest.LogCaptureFixture) -> None:
    Failures().overload(api_base="http://me:secret@10.0.0.1:9000/v1?key=abc")
    assert [record.getMessage() for record in caplog.records] == [
        "provider openai, model openai/small: rate_limited, HTTP 429, at http://10.0.0.1:9000/v1: slow down"
    ]


def test_a_kind_of_failure_is_said_once_until_it_was_quiet(caplog: pytest.LogCaptureFixture) -> None:
    failures = Failures()
    for _ in range(5):
        failures.overload()
        failures.clock.advance(599)
    assert len(caplog.records) == 1
    failures.clock.advance(1)
    failures.overload()
    assert caplog.records[-1].getMessage().endswith("slow down (again: 4 more since it was last said)")
    assert failures.counted == [("openai", "openai/small", Cause.RATE_LIMITED)] * 6


def test_another_status_is_another_kind(caplog: pytest.LogCaptureFixture) -> None:
    failures = Failures()
    failures.overload()
    failures.log.note(a_request(), ProviderError("broken", provider_status=500))
    assert len(caplog.records) == 2


def test_the_prompt_is_never_said(caplog: pytest.LogCaptureFixture) -> None:
    Failures().overload("openai/small: I cannot speak of 'Popocatépetl' now")
    assert "Popo" not in caplog.text
    assert "cannot" in caplog.text


def test_an_address_that_is_not_known_is_not_made_up() -> None:
    request = ProviderRequest(ModelTarget("bedrock/some"), ASKED, {})
    assert address_text(request) == "its usual address"


def test_json_lines_carry_the_fields_of_a_record() -> None:
    record = logging.LogRecord("router.x", logging.WARNING, "", 0, "model %s", ("m",), None)
    record.fields = {"cause": Cause.OVERLOADED, "status": None}
    line = json.loads(JsonFormatter().format(record))
    assert (line["level"], line["message"], line["cause"], line["status"]) == ("warning", "model m", "overloaded", None)


def test_lines_of_two_workers_stay_whole(tmp_path: Path) -> None:
    logs = [RequestLog(str(tmp_path / "requests.log")) for _ in range(2)]
    for number in range(200):
        logs[number % 2].note(a_line(number))
        logs[number % 2].flush()
    for log in logs:
        log.stop()
    assert [int(line["request_id"], 16) for line in lines_of(tmp_path / "requests.log")] == list(range(200))
