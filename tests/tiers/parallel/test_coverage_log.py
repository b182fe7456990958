from pathlib import Path

import pytest

from router.tiers.parallel.calibration import CalibrationTable, Row
from router.tiers.parallel.coverage import Coverage
from router.tiers.parallel.coverage_log import CoverageLog, DailyAllowance
from router.types import DAY_US


def observed(request_id: str, *votes: str | None, selected: str = "42") -> Coverage:
    return Coverage(request_id, "a/b", "numeric", votes, selected, used=2)


def test_without_labels_there_is_nothing_to_sum_up() -> None:
    log = CoverageLog()
    log.note(observed("a", "42", "42", "41", "42"))
    assert log.summary(4) is None
    assert log.observed == 1


def test_a_label_says_whether_the_selected_answer_was_right() -> None:
    log = CoverageLog()
    log.note(observed("a", "42", "42", "41", "42"))
    log.note(observed("b", "42", "41", "41", None))
    log.label("a", 1.0)
    log.label("b", 0.0)
    found = log.summary(4)
    assert found is not None
    assert (found.queries, found.selected_at_k, found.invalid_rate) == (2, 0.5, 0.125)


def test_a_label_of_an_unknown_request_changes_nothing() -> None:
    log = CoverageLog()
    log.label("never seen", 1.0)
    assert log.summary(1) is None


def test_the_allowance_is_spent_once_a_day() -> None:
    allowance = DailyAllowance(100)
    assert allowance.affords(60, now_us=0)
    assert not allowance.affords(60, now_us=1)
    assert allowance.affords(60, now_us=DAY_US)


def test_the_agreement_table_survives_a_restart(tmp_path: Path) -> None:
    file = tmp_path / "agreement.json"
    table = CalibrationTable({"a/b numeric": Row()})
    table.save(file)
    assert CalibrationTable.load(file).as_json() == table.as_json()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"a": {"unknown": 1}}'])
def test_a_damaged_table_is_an_empty_one(tmp_path: Path, content: str) -> None:
    file = tmp_path / "agreement.json"
    file.write_text(content)
    assert CalibrationTable.load(file).as_json() == {}
