import xml.etree.ElementTree as ET

import numpy as np
import pytest

from medseal.classification.plots import COLOURS, Bar, Series, bar_chart, line_chart, matrix_chart
from medseal.errors import InputError


def parsed(svg):
    return ET.fromstring(svg)  # noqa: S314  # our own text


def series(name="a", count=5, **changes):
    x = np.linspace(0, 1, count)
    return Series(name=name, x=x, y=x**2, **changes)


def test_lines_stay_in_their_frame_and_are_thinned():
    svg = parsed(line_chart([series(count=5000)], x_label="x", y_label="y", diagonal=True))
    [line] = svg.findall("polyline")
    points = [tuple(map(float, point.split(","))) for point in line.get("points").split()]
    assert len(points) < 200
    _, _, width, height = map(float, svg.get("viewBox").split())
    assert all(0 <= x <= width and 0 <= y <= height for x, y in points)
    assert points[0][1] > points[-1][1]  # y grows upwards
    assert len(svg.findall("line[@class='axis dashed']")) == 1


def test_gaps_and_marks():
    values = np.array([0.1, 0.2, np.nan, 0.4, 0.5])
    one = Series(name="a", x=np.linspace(0, 1, 5), y=values, is_marked=True)
    svg = parsed(line_chart([one], x_label="x", y_label="y"))
    assert len(svg.findall("polyline")) == 2
    assert len(svg.findall("circle")) == 4


def test_the_first_line_is_drawn_last():
    svg = parsed(line_chart([series("a"), series("b")], x_label="x", y_label="y"))
    assert [line.get("class") for line in svg.findall("polyline")] == ["line s1", "line s0"]


def test_names_are_escaped():
    name = "<script>alert(1)</script> & more than thirty-four characters"
    bar = Bar(name=name, estimate=0.5, low=0.4, high=0.6)
    for svg in (
        bar_chart([bar], title=name),
        line_chart([series(name)], x_label=name, y_label=name),
        matrix_chart([[1, 0], [0, 1]], [name, "b"]),
    ):
        assert "<script>" not in svg
        parsed(svg)


def test_bars_are_as_long_as_their_figures():
    bars = [Bar(name=str(v), estimate=v, low=v / 2, high=v) for v in (0.25, 0.5, 1.0)]
    widths = [float(r.get("width")) for r in parsed(bar_chart(bars, title="t")).findall("rect")]
    assert widths[1] == pytest.approx(2 * widths[0], abs=0.2)
    assert widths[2] == pytest.approx(4 * widths[0], abs=0.3)


def test_matrix_shows_counts_and_shares():
    svg = parsed(matrix_chart([[3, 1], [0, 0]], ["no", "yes"]))
    texts = [text.text for text in svg.findall("text")]
    assert texts[-8:] == ["3", "75%", "1", "25%", "0", "0%", "0", "0%"]


def test_refusals():
    with pytest.raises(InputError, match="at most 6 lines"):
        line_chart([series()] * (COLOURS + 1), x_label="x", y_label="y")
    with pytest.raises(InputError, match="equally long"):
        line_chart([Series(name="a", x=np.zeros(2), y=np.zeros(3))], x_label="x", y_label="y")
    with pytest.raises(InputError, match="needs a bar"):
        bar_chart([], title="t")
    with pytest.raises(InputError, match="a row and a column a class"):
        matrix_chart([[1, 2]], ["a", "b"])
