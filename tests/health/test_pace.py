"""How fast models are taken to be, and how many retries their calls earn."""

from router.health.pace import FIRST_GUESS, RetryBudget, Speed


def test_the_first_answer_replaces_the_guess_and_later_ones_move_it() -> None:
    speed = Speed()
    assert speed.seconds_for(FIRST_GUESS) == 1.0
    speed.note(1_000, 10.0)
    assert speed.tokens_per_second == 100.0
    speed.note(1_000, 100.0)
    assert 10.0 < speed.tokens_per_second < 100.0


def test_short_answers_say_nothing_about_speed() -> None:
    speed = Speed()
    speed.note(3, 2.0)
    assert not speed.is_measured


def test_retries_make_a_tenth_more_calls_and_one() -> None:
    budget, calls = RetryBudget(), 0
    for _ in range(1_000):
        calls += 1
        budget.earn()
        if budget.spend():
            calls += 1
            budget.earn()
    assert 1_080 <= calls <= 1_101
