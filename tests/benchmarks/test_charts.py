"""Charts of the documents: words stay words, and the same figures give the same bytes."""

from xml.etree import ElementTree

from scripts.benchmarks.charts import Line, chart

LINES = [Line("one & two", [1, 10], [0.2, 0.9]), Line("flat", [1, 10], [0.5, 0.5], is_dashed=True)]


def elements_of(drawn: str, name: str) -> list[ElementTree.Element]:
    return [element for element in ElementTree.fromstring(drawn).iter() if element.tag.endswith(f"}}{name}")]


def test_a_chart_names_its_axes_and_lines_in_words() -> None:
    texts = {element.text for element in elements_of(chart("a < b", "cost", "right", LINES), "text")}
    assert {"a < b", "cost", "right", "one & two", "flat"} <= texts


def test_the_same_figures_give_the_same_bytes_and_no_date() -> None:
    drawn = chart("a", "x", "y", LINES)
    assert drawn == chart("a", "x", "y", LINES)
    assert "dc:date" not in drawn
    assert "Matplotlib v" not in drawn


def test_rings_stand_out_beside_their_line_on_a_logarithmic_axis() -> None:
    plain, ringed = (
        chart("a", "x", "y", [Line("one", [1, 10], [0, 1], has_points=True, rings=rings)], logarithmic=True)
        for rings in ((), [(3.0, 0.5)])
    )
    assert len(elements_of(ringed, "use")) == len(elements_of(plain, "use")) + 1
