"""The double's cache meters as a real one: whole blocks of what it read lately, of one model."""

from router.providers.counting import count_input_tokens
from router.providers.scripted.caching import ScriptedCache

LONG = {"role": "user", "content": "word " * 3_000}
REPLY, NEXT = {"role": "assistant", "content": "Noted."}, {"role": "user", "content": "And?"}


def test_what_was_read_is_cached_in_whole_blocks_for_five_minutes() -> None:
    cache = ScriptedCache()
    known = count_input_tokens([LONG])
    found = [cache.read("a", [LONG], 0), cache.read("a", [LONG, REPLY, NEXT], 100), cache.read("b", [LONG], 100)]
    assert found == [0, known - known % 128, 0]
    assert cache.read("a", [LONG, REPLY, NEXT, REPLY, NEXT], 399) > 0  # it was used at 100
    assert cache.read("a", [LONG], 1_000) == 0


def test_a_short_prompt_is_not_cached_and_marks_change_nothing() -> None:
    cache = ScriptedCache()
    assert [cache.read("a", [NEXT], at) for at in (0, 1)] == [0, 0]
    marked = {"role": "user", "content": [{"type": "text", "text": LONG["content"], "cache_control": {"type": "x"}}]}
    cache.read("a", [LONG], 2)
    assert cache.read("a", [marked], 3) > 1_024


def test_another_beginning_shares_nothing() -> None:
    cache = ScriptedCache()
    cache.read("a", [{"role": "system", "content": "Be brief."}, LONG], 0)
    assert cache.read("a", [LONG], 1) == 0
