"""Geometry of the report's charts."""

import pytest

from perception.evaluation.report.charts import confusion_rows, histogram, tick_values
from perception.evaluation.report.curves import precision_recall
from perception.evaluation.report.reasons import explained
from perception.evaluation.results import PrecisionRecall


@pytest.mark.parametrize("maximum", [0.3, 1.0, 7.0, 99.0, 100.0, 1234.5])
def test_ticks_are_round_and_end_at_most_at_the_maximum(maximum):
    ticks = tick_values(maximum)
    assert ticks[0] == 0.0
    assert 2 <= len(ticks) <= 7
    assert ticks[-1] <= maximum * (1 + 1e-9)


def test_an_axis_of_nothing_has_its_origin():
    assert tick_values(0.0) == [0.0]


def test_every_frame_is_in_one_bar():
    samples_ms = [0.0, 1.0, 1.1, 99.0, 100.0]
    chart = histogram(samples_ms, height=10)
    counts = [int(box.hint.rsplit(" ", 2)[1]) for box in chart.rectangles]
    assert sum(counts) == len(samples_ms)
    assert max(box.height for box in chart.rectangles) == 10


def test_the_median_and_percentiles_are_marked():
    chart = histogram([10.0] * 98 + [20.0, 20.0], width=102, height=10)
    assert [line.label for line in chart.lines] == ["median 10.0 ms", "p95 10.0 ms", "p99 20.0 ms"]
    assert [round(line.points[0][0], 6) for line in chart.lines] == [50.0, 50.0, 100.0]
    assert chart.note == ""


def test_one_slow_frame_does_not_squeeze_all_others():
    chart = histogram([10.0] * 99 + [900.0], width=100, height=10)
    assert [tick.label for tick in chart.x_ticks][-1] == "30"
    assert chart.rectangles[-1].hint.endswith(": 1 frames")
    assert chart.note == "Beyond the axis: 1, up to 900 ms."
    assert max(x for line in chart.lines for x, _ in line.points) <= 100


def test_a_curve_ends_at_the_largest_recall():
    precision, score = (1.0, 0.5, 0.25, 0.0, 0.0), (0.9, 0.8, 0.7, None, None)
    curve = PrecisionRecall(distance_m=2.0, precision=precision, score=score)
    chart = precision_recall({"car": curve, "bus": curve}, width=100, height=40)
    assert chart.lines[0].points == ((0.0, 0.0), (25.0, 20.0), (50.0, 30.0))
    assert [line.label for line in chart.lines] == ["car", "bus"]
    assert chart.lines[0].color != chart.lines[1].color


def test_reasons_are_explained_by_their_first_word():
    assert explained("superseded").startswith("a newer cloud")
    assert explained("malformed.truncated") == explained("malformed") != ""
    assert explained("unheard of") == ""


def test_charts_of_nothing_are_empty():
    assert all(box.height == 0 for box in histogram([]).rectangles)


def test_the_confusion_matrix_leaves_out_what_never_occurs():
    columns, rows = confusion_rows(("a", "b", "c"), [[999, 0, 1], [0, 0, 0], [0, 0, 0]])
    assert columns == ["a", "c"]
    assert [name for name, _ in rows] == ["a"]
    right, wrong = rows[0][1]
    assert (right.percent, right.points, right.right) == (pytest.approx(99.9), 999, True)
    assert wrong.strength == pytest.approx(0.0, abs=1e-9)
    assert right.strength > 0.99
