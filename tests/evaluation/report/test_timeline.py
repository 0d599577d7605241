"""The timeline: stages that stack to a frame's total, in at most 500 columns."""

import re

import pytest

from perception.evaluation.records import FrameRecord
from perception.evaluation.report.series import MOST_COLUMNS, FrameSeries, gather
from perception.evaluation.report.timeline import MOST_STAGES, REST, shown_stages, timeline
from tests.evaluation.report.evaluations import model_results


def record(index, stage_ms=None, bag="bag", model="labeller", dropped="", quality=None):
    total = {"total": sum((stage_ms or {}).values())} if stage_ms else {}
    values = {"stage_ms": {**(stage_ms or {}), **total}, "dropped": dropped, "quality": quality}
    return FrameRecord(bag=bag, index=index, model=model, stamp_ns=index, points=1, **values)


def series_of(records, frames=None):
    series = FrameSeries.for_frames(len(records) if frames is None else frames)
    for one in records:
        series.add(one)
    return series


def boxes_of(area):
    """x, y, width, height of each rectangle in a path."""
    pattern = r"M([\d.]+) ([\d.]+)h([\d.]+)v([\d.]+)h-[\d.]+z"
    return [tuple(map(float, found)) for found in re.findall(pattern, area.path)]


def test_stages_stack_to_the_frames_total():
    series = series_of([record(0, {"a": 10.0, "b": 30.0}), record(1, {"a": 20.0})])
    chart = timeline(series, width=100, height=40.8)
    a, b = (boxes_of(area) for area in chart.areas)
    assert [box[3] for box in a] == [10.0, 20.0]
    assert [box[1] for box in a] == [30.8, 20.8]
    assert b == [(0.0, 0.8, 44.0, 30.0)]
    assert chart.areas[0].color != chart.areas[1].color


def test_what_no_stage_accounts_for_is_drawn_too():
    total = FrameRecord(bag="b", index=0, model="m", stamp_ns=0, points=1, stage_ms={"a": 1.0, "total": 5.0})
    assert series_of([total]).columns[0].stage_ms == {"a": 1.0, "other": 4.0}


def test_many_frames_share_columns_by_their_mean_and_slowest():
    records = [record(index, {"a": 30.0 if index == 1 else 10.0}) for index in range(2 * MOST_COLUMNS)]
    series = series_of(records)
    assert len(series.columns) == MOST_COLUMNS
    assert (series.columns[0].mean_ms("a"), series.columns[0].slowest_ms) == (20.0, 30.0)
    assert series.columns[1].mean_ms("a") == 10.0
    assert [line.label for line in timeline(series).lines] == ["slowest frame of each column"]


@pytest.mark.parametrize("frames", [0, 1, 499, 500, 501, 999, 1001])
def test_there_are_never_too_many_columns(frames):
    series = series_of([record(index, {"a": 1.0}) for index in range(frames)])
    assert len(series.columns) <= MOST_COLUMNS
    assert sum(column.frames for column in series.columns) == frames


def test_dropped_frames_are_marked_below_the_axis():
    chart = timeline(series_of([record(0, {"a": 4.0}), record(1, dropped="late")]), width=100, height=50)
    (box,) = boxes_of(chart.areas[-1])
    assert chart.areas[-1].label.startswith("share of frames dropped")
    assert box == (50.0, 51.0, 44.0, 8.0)
    assert chart.rectangles[1].hint == "bag, frame 1\n1 dropped"


def test_short_stages_go_together_when_there_are_many():
    stages = {f"stage {number}": float(number + 1) for number in range(MOST_STAGES + 3)}
    columns = series_of([record(0, stages)]).columns
    shown = shown_stages(columns)
    assert len(set(shown.values())) == MOST_STAGES
    assert [stage for stage, name in shown.items() if name == REST] == [f"stage {number}" for number in range(4)]
    chart = timeline(series_of([record(0, stages)]), height=100)
    assert sum(boxes_of(area)[0][3] for area in chart.areas) == pytest.approx(100 / 1.02, rel=0.01)


def test_bags_are_told_apart():
    series = series_of([record(index, {"a": 1.0}, bag) for bag in "xyz" for index in range(4)])
    lines = timeline(series, width=120).lines
    assert [line.points[0][0] for line in lines] == [40.0, 80.0]
    assert [line.label for line in lines] == ["next bag", ""]


def test_ticks_lie_in_the_middle_of_their_frame():
    ticks = timeline(series_of([record(index, {"a": 1.0}) for index in range(10)]), width=100).x_ticks
    assert {tick.label: round(tick.position) for tick in ticks} == {"2": 15, "4": 35, "6": 55, "8": 75, "10": 95}


def test_records_of_every_model_are_gathered_apart():
    from tests.evaluation.report.evaluations import DETECTOR, LABELLER

    models = [model_results(network, 3) for network in (LABELLER, DETECTOR)]
    records = [record(0, {"a": 1.0}, model=name, quality=0.5) for name in ("labeller", "detector", "another")]
    gathered = gather([*records, record(1, model="detector", dropped="late")], models)
    assert {name: series.bags["bag"].frames for name, series in gathered.items()} == {"labeller": 1, "detector": 2}
    bag = gathered["detector"].bags["bag"]
    assert (bag.dropped, bag.mean_quality, list(bag.duration_ms)) == (1, 0.5, [1.0])
