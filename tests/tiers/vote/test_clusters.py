"""Which cluster wins, and when a number without a unit joins one with."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from router.tiers.parallel.coverage import Coverage, pass_at, summarise
from router.tiers.vote.clusters import VoteTally, token_confidence
from router.tiers.vote.keys import VoteKey
from router.tiers.vote.similarity import clusters, embed, medoid


def key(name: str) -> VoteKey:
    return VoteKey("entity", name)


def a_tally(names: str, weights: list[float] | None = None) -> VoteTally:
    tally = VoteTally()
    for index, name in enumerate(names):
        tally.add(index, key(name), weights[index] if weights else 1.0)
    return tally


@given(st.text(alphabet="abc", min_size=1, max_size=20))
def test_the_winner_has_the_most_votes_and_was_first_among_equals(names: str) -> None:
    best = max(names.count(c) for c in "abc")
    winner = next(c for c in names if names.count(c) == best)
    assert a_tally(names).ranked[0].key == key(winner)


def test_token_confidence_decides_between_clusters_one_vote_apart() -> None:
    assert a_tally("aab", [0.2, 0.2, 0.9]).ranked[0].key == key("b")
    assert a_tally("aaab", [0.2, 0.2, 0.2, 0.9]).ranked[0].key == key("a")


def test_tests_and_agreement_count_together() -> None:
    tally = VoteTally()
    for index, (bits, copies) in enumerate((("1110", 1), ("1100", 4), ("0000", 9))):
        for copy in range(copies):
            tally.add(10 * index + copy, VoteKey("tests", bits), tests=bits.count("1"))
    assert [c.key.value for c in tally.ranked] == ["1100", "1110", "0000"]
    assert tally.top == (4, 1)


def test_a_bare_number_joins_the_only_unit_in_the_running() -> None:
    tally = VoteTally()
    tally.add(0, VoteKey("number", "10800 s", "3"))
    tally.add(1, VoteKey("number", "3", "3"))
    assert tally.top == (2, 0)
    tally.add(2, VoteKey("number", "180 s", "3"))
    assert tally.top == (2, 1)


def test_token_confidence_is_the_geometric_mean() -> None:
    assert token_confidence({"content": [{"logprob": float(np.log(0.5))}, {"logprob": float(np.log(0.5))}]}) == 0.5
    assert token_confidence(None) is None


def test_the_medoid_is_in_the_largest_cluster() -> None:
    texts = [
        "Buy a boat and sail away.",
        "Tomatoes need full sun and water early in the day.",
        "Water tomatoes early in the day and give them full sun.",
        "Full sun, and water early in the day: that is what tomatoes need.",
    ]
    vectors = [embed(t) for t in texts]
    groups = clusters(vectors)
    assert sorted(groups[0]) == [1, 2, 3]
    assert medoid(vectors, groups[0]) in (1, 2, 3)


@given(st.integers(1, 20), st.data())
def test_coverage_is_the_share_of_subsets_with_a_right_sample(n: int, data: st.DataObject) -> None:
    right, k = data.draw(st.integers(0, n)), data.draw(st.integers(1, n))
    assert 0 <= pass_at(k, right, n) <= 1
    assert pass_at(k, right, n) == 1.0 or right <= n - k
    assert abs(pass_at(1, right, n) - right / n) < 1e-9


def test_a_summary_tells_what_selection_made_of_coverage() -> None:
    observed = [
        Coverage("1", "m", "numeric", ("7", "7", "8", None), "7", 3),
        Coverage("2", "m", "numeric", ("1", "2", "2", "3"), "2", 4),
    ]
    truth = {"1": "7", "2": "1"}
    summary = summarise(observed, lambda c, vote: truth[c.request_id] == vote, 4)
    assert summary is not None
    assert (summary.selected_at_k, summary.pass_at_k, summary.majority_at_k) == (0.5, 1.0, 0.5)
    assert summary.invalid_rate == 0.125
    assert summary.efficiency == (0.5 - 0.375) / (1 - 0.375)
