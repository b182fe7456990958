from pathlib import Path

from scripts.benchmarks.provider_results import FeatureResult, is_green, read_features, section_of, table, with_section

ABOUT = '<properties><property name="family" value="{}"/><property name="feature" value="tools"/></properties>'
JUNIT = f"""<?xml version="1.0"?><testsuites><testsuite>
<testcase name="a[x]">{ABOUT.format("Ada")}</testcase>
<testcase name="a[y]">{ABOUT.format("Ada")}<failure message="no"/></testcase>
<testcase name="b">{ABOUT.format("Bob")}<skipped message="none"/></testcase>
<testcase name="c"/>
</testsuite></testsuites>"""


def test_results_are_read_with_what_they_are_about(tmp_path: Path) -> None:
    (tmp_path / "report.xml").write_text(JUNIT)
    results = read_features(tmp_path / "report.xml")
    assert [(r.family, r.feature, r.outcome) for r in results] == [
        ("Ada", "tools", "passed"),
        ("Ada", "tools", "failed"),
        ("Bob", "tools", "skipped"),
    ]
    assert not is_green(results)
    assert "| tools | partly | - |" in table(results)


def test_all_and_none_are_told_apart() -> None:
    results = (FeatureResult("Ada", "tools", "passed"), FeatureResult("Bob", "tools", "failed"))
    assert "| tools | yes | **no** |" in table(results)
    assert is_green(results[:1])


def test_the_table_takes_the_place_of_the_last_one_and_outlives_the_first() -> None:
    section = table((FeatureResult("Ada", "tools", "passed"),))
    page = "# Compatibility\n\nfirst\n\n## More\n\nx\n"
    written = with_section(page, section)
    assert written.startswith(page)
    assert section_of(written) == section
    assert with_section(written, section) == written
    assert with_section("# New\n", section_of(written)) == f"# New\n\n{section}"
