"""The closed lists are part of the outside contract: a changed name is a changed contract."""

from enum import StrEnum

import pytest

from router.database import codes
from router.types import CallKind, CallStatus, Outcome, Precision, Reason, Tier, Usage


@pytest.mark.parametrize(
    ("closed", "names"),
    [
        (Tier, "fast reasoning parallel"),
        (
            Reason,
            "below_threshold above_threshold share_cap too_costly budget_spent user_allowance override effort "
            "capability housekeeping follow_up pushback explored fallback",
        ),
        (CallKind, "answer sample judge shadow"),
        (CallStatus, "ok error cancelled not_sent unknown"),
        (Precision, "exact estimated unknown"),
    ],
)
def test_the_closed_lists_are_those_of_the_contract(closed: type[StrEnum], names: str) -> None:
    assert [member.value for member in closed] == names.split()


@pytest.mark.parametrize(
    ("closed", "stored"),
    [
        (Tier, codes.TIERS),
        (Reason, codes.REASONS),
        (CallKind, codes.KINDS),
        (CallStatus, codes.STATUSES),
        (Precision, codes.PRECISIONS),
        (Outcome, codes.OUTCOMES),
    ],
)
def test_every_member_can_be_stored_under_a_code_of_its_own(closed: type[StrEnum], stored: dict[StrEnum, int]) -> None:
    assert set(stored) == set(closed)
    assert len(set(stored.values())) == len(closed)


def test_usage_counts_cached_tokens_as_input_and_thinking_as_output() -> None:
    usage = Usage(input_fresh=1, input_cached=2, input_cache_write=4, output_visible=8, output_reasoning=16)
    assert (usage.input_tokens, usage.output_tokens) == (7, 24)
