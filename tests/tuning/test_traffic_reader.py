"""What was booked comes back as it was, from either database."""

from dataclasses import replace
from datetime import UTC

import numpy as np
import pytest
from sqlalchemy import Engine, insert

from classifier.types import AnswerType
from router.database.engine import writing
from router.database.tables import Adjustment, Run
from router.reports.window import Window
from router.tuning.traffic_reader import read
from router.types import Reason
from tests.builders.traffics import a_world, store

EVER = Window(None, None, UTC)
FIRST_MS = 1_700_000_000_000


def test_what_was_booked_is_read_and_shadows_are_not(engine: Engine) -> None:
    traffic = a_world(120).traffic
    store(engine, traffic)
    found = read(engine, EVER)
    for name in ("scores", "may_vote", "tiers", "rewards", "segments"):
        np.testing.assert_array_equal(getattr(found, name), getattr(traffic, name))
    for name in ("p_fast", "p_reasoning", "propensities", "cost_usd", "revenue_usd"):
        np.testing.assert_allclose(getattr(found, name), getattr(traffic, name), rtol=1e-4)
    assert found.segment_names == ("free", "plus")


def test_what_no_score_decided_is_left_out(engine: Engine) -> None:
    store(engine, a_world(30).traffic)
    store(engine, a_world(12).traffic, FIRST_MS + 10**9, Reason.OVERRIDE)
    assert len(read(engine, EVER)) == 30


def test_of_more_than_wanted_a_part_of_every_stretch_of_the_time_is_read(engine: Engine) -> None:
    store(engine, a_world(4_000).traffic)
    part = read(engine, EVER, 1_000, expected=4_000)
    assert len(part) == pytest.approx(1_000, rel=0.1)
    np.testing.assert_array_equal(part.scores, read(engine, EVER, 1_000, expected=4_000).scores)
    whole = read(engine, EVER, expected=4_000).p_fast.tolist()
    places = np.array([whole.index(one) for one in part.p_fast.tolist()])
    assert (np.diff(places) > 0).all()
    assert np.histogram(places, 4, (0, 4_000))[0].tolist() == pytest.approx([250] * 4, rel=0.15)


def test_a_window_cuts_by_the_time_of_arrival(engine: Engine) -> None:
    store(engine, a_world(30).traffic)
    window = Window((FIRST_MS + 5_000) * 1_000, (FIRST_MS + 20_000) * 1_000, UTC)
    assert len(read(engine, window)) == 15


def test_pieces_are_put_together_as_if_read_at_once(engine: Engine) -> None:
    store(engine, a_world(90).traffic)
    others = replace(a_world(30, 2).traffic, segment_names=("enterprise", "plus"))
    store(engine, others, FIRST_MS + 10**8)
    whole = read(engine, EVER)
    pieced = read(engine, EVER, piece=17)
    for name in ("scores", "tiers", "cost_usd", "rewards", "segments", "input_tokens", "countries"):
        np.testing.assert_array_equal(getattr(pieced, name), getattr(whole, name))
    assert pieced.segment_names == whole.segment_names == ("enterprise", "free", "plus")
    assert len(read(engine, EVER, most=40, piece=17)) == 40
    np.testing.assert_array_equal(read(engine, EVER, most=40, piece=17).scores, whole.scores[-40:])


def test_nothing_at_all_is_no_traffic(engine: Engine) -> None:
    assert len(read(engine, EVER)) == 0
    assert len(read(engine, Window(5, 5, UTC))) == 0


def test_unpriced_is_unknown_and_corrections_count(engine: Engine) -> None:
    traffic = a_world(10).traffic
    traffic = replace(traffic, cost_usd=np.where(np.arange(10) == 3, np.nan, 0.002))
    store(engine, traffic)
    row = {"kind": "rerated", "request_id": f"{FIRST_MS:012x}{0:020x}", "call_no": 0, "amount_nanousd": -500_000}
    with writing(engine) as connection:
        connection.execute(insert(Run).values(id=1, kind="rerate", created_at=1, author="ada", note=""))
        connection.execute(insert(Adjustment).values(run_id=1, effective_at=1, **row))
    found = read(engine, EVER).cost_usd
    assert np.isnan(found[3])
    assert (found[0], found[1]) == pytest.approx((0.0015, 0.002))


def test_what_likens_queries_to_each_other_is_read_too(engine: Engine) -> None:
    traffic = a_world(40).traffic
    store(engine, traffic)
    found = read(engine, EVER)
    assert found.country_names == ("ZZ",)
    assert found.countries.tolist() == [0] * 40
    assert found.input_tokens.tolist() == [1.0] * 40  # of the first call, not of the shadow
    assert np.isnan(found.first_byte_ms).all()
    kinds = [list(AnswerType)[code] for code in found.answer_types]
    assert kinds == [AnswerType.NUMERIC if may else AnswerType.OPEN for may in traffic.may_vote]


def test_one_versions_requests_alone(engine: Engine) -> None:
    store(engine, a_world(30).traffic, version=1)
    store(engine, a_world(12).traffic, FIRST_MS + 10**9, version=2)
    assert len(read(engine, EVER, version=2)) == 12
