"""Shares are typed as they are shown."""

import pytest

from router.policies.shares import WrongShare, format_typed_share, read_share


@pytest.mark.parametrize("text", ["18 %", "18%", " 18.0 % ", "0.18", ".18", "1.8e-1"])
def test_percent_and_parts_mean_the_same(text: str) -> None:
    assert read_share(text) == 0.18


@pytest.mark.parametrize(("text", "value"), [("1", 1.0), ("0", 0.0), ("-40 %", -0.4), ("-2", -2.0), ("120 %", 1.2)])
def test_what_can_mean_one_thing_is_taken(text: str, value: float) -> None:
    assert read_share(text) == value


@pytest.mark.parametrize("text", ["", "%", "a few", "nan", "inf", "1,8 %"])
def test_what_is_no_number_is_told(text: str) -> None:
    with pytest.raises(WrongShare, match=r"18 % or 0\.18"):
        read_share(text)


def test_what_could_mean_either_is_asked_about() -> None:
    with pytest.raises(WrongShare, match=r"write 18 % or 0\.18"):
        read_share("18")


def test_what_is_written_is_read_back() -> None:
    assert read_share(format_typed_share(0.123456)) == 0.123456
