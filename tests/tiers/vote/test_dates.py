"""Dates are one date however they are written, and what is no date is none."""

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.tiers.vote.dates import date_key, last_date

dates = st.dates(datetime.date(1000, 1, 1), datetime.date(9999, 12, 31))


@pytest.mark.parametrize(
    "text",
    [
        "2021-05-04", "2021/5/4", "2021.05.04", "05/04/2021", "May 4, 2021", "may 4 2021", "May 4th, 2021",
        "4 May 2021", "4th of May, 2021", "Tuesday, May 4, 2021", "Tuesday 4 May 2021", "on May 4, 2021",
        " **May 4, 2021**. ",
    ],
)  # fmt: skip
def test_every_way_to_write_a_date_is_read(text: str) -> None:
    assert date_key(text) == "2021-05-04"


@pytest.mark.parametrize(
    "text",
    ["", "soon", "2021-13-01", "2021-02-30", "February 30, 2021", "May 2021 or so", "12:30", "2021", "45/45/2021"],
)
def test_what_is_no_date_is_none(text: str) -> None:
    assert date_key(text) is None


@pytest.mark.parametrize(
    ("text", "month_first", "day_first"),
    [
        ("03/04/2020", "2020-03-04", "2020-04-03"),
        ("25/12/2020", "2020-12-25", "2020-12-25"),  # there is no 25th month
        ("12/25/2020", "2020-12-25", "2020-12-25"),
        ("4 March 2020", "2020-03-04", "2020-03-04"),  # a name leaves nothing open
    ],
)
def test_which_number_is_the_day_is_asked_only_where_both_could_be(text: str, month_first: str, day_first: str) -> None:
    assert (date_key(text), date_key(text, day_first=True)) == (month_first, day_first)


@pytest.mark.parametrize("text", ["June 1995", "Jun. 1995", "june, 1995"])
def test_a_month_without_a_day_is_a_month(text: str) -> None:
    assert date_key(text) == "1995-06"


def test_the_last_date_of_a_text_is_its_answer() -> None:
    text = "From 2020-01-31 on, so 45 days later: it falls on March 16, 2020, a Monday."
    assert last_date(text) == "2020-03-16"
    assert last_date("The invoice of 03/04/2020 is due.", day_first=True) == "2020-04-03"
    assert last_date("Invoice 12021-05-041 is due.") is None


@given(dates)
def test_a_date_is_read_back_however_it_is_written(date: datetime.date) -> None:
    written = [
        date.isoformat(),
        f"{date:%B} {date.day}, {date:%Y}",
        f"{date.day} {date:%b} {date:%Y}",
        f"{date:%m/%d/%Y}",
    ]
    assert {date_key(text) for text in written} == {date.isoformat()}
    assert date_key(f"{date:%d.%m.%Y}", day_first=True) == date.isoformat()
    assert last_date(f"It was {written[1]}, I think.") == date.isoformat()


@given(st.text(alphabet="0123456789/-. MarchJunof,"))
def test_no_text_breaks_the_reader(text: str) -> None:
    for day_first in (False, True):
        date_key(text, day_first=day_first)
        last_date(text, day_first=day_first)
