from pathlib import Path

from scripts.benchmarks.mutations.answers import a_case
from scripts.benchmarks.mutations.run import run


async def test_no_answer_is_lost_that_a_person_can_read_and_no_usage_is_believed_against_the_text(
    tmp_path: Path,
) -> None:
    result = await run(tmp_path, range(150), seed=7)
    assert result.faults == []
    assert result.lines == 150
    assert result.readable > 100


def test_mutations_are_the_same_for_the_same_seed() -> None:
    assert [a_case(n, 3).done for n in range(20)] == [a_case(n, 3).done for n in range(20)]
