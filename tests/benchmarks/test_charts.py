from xml.etree import ElementTree

from scripts.benchmarks.charts import Line, chart


def test_a_chart_is_well_formed_and_names_its_lines() -> None:
    drawn = chart("a < b", "x", "y", [Line("one & two", [0, 1], [0.2, 0.9]), Line("flat", [0, 1], [0.5, 0.5])])
    texts = [element.text for element in ElementTree.fromstring(drawn).iter() if element.text]
    assert {"a < b", "one & two", "flat"} <= set(texts)
