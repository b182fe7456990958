"""The page on compatibility says what the suites of clients said."""

from pathlib import Path

from scripts.benchmarks.client_results import Result, Run, compatibility, read_junit, read_tap

TAP = """TAP version 13
# Subtest: auto: completion [messages usage]
ok 1 - auto: completion [messages usage]
  ---
  duration_ms: 5.2
not ok 2 - error: unknown key [errors]
ok 3 - later # SKIP not yet
1..3
# pass 1
"""
JUNIT = """<testsuites><testsuite>
<testcase name="test_a[fast]"><properties><property name="covers" value="n|seed"/></properties></testcase>
<testcase name="test_b"><failure message="no"/></testcase>
<testcase name="test_c"><skipped/></testcase>
<testcase name="test_d"><error/></testcase>
</testsuite></testsuites>"""


def test_tap_is_read() -> None:
    assert read_tap(TAP) == (
        Result("auto: completion", "passed", ("messages", "usage")),
        Result("error: unknown key", "failed", ("errors",)),
        Result("later", "skipped"),
    )


def test_junit_is_read(tmp_path: Path) -> None:
    path = tmp_path / "results.xml"
    path.write_text(JUNIT, encoding="utf-8")
    results = read_junit(path)
    assert [result.outcome for result in results] == ["passed", "failed", "skipped", "failed"]
    assert results[0] == Result("test_a[fast]", "passed", ("n", "seed"))


def test_a_suite_that_never_ran_is_not_green(tmp_path: Path) -> None:
    assert not Run("x", "1", read_junit(tmp_path / "missing.xml")).is_green
    assert not Run("x", "1", read_tap(TAP)).is_green


def test_the_page_names_the_tests_of_a_parameter_once() -> None:
    results = tuple(Result(f"test_a[{tier}]", "passed", ("seed",)) for tier in ("auto", "fast"))
    page = compatibility([Run("llm", "0.1", results), Run("litellm", "2", read_tap(TAP))])
    assert "| llm | 0.1 | 2 | 0 | 0 |" in page
    assert "| `seed` | llm: `test_a` |" in page
    assert "| `messages` | litellm: `completion` |" in page
