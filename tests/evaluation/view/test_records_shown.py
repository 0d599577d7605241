"""What a viewer is sent of an evaluation's records."""

import numpy as np

from perception.evaluation.records import BoxesRecord, FrameRecord
from perception.evaluation.view.records import TRUTH, show_records
from tests.evaluation.view.conftest import START_NS, STEP_NS, boxes
from tests.evaluation.view.rrd import entities, rows


def record(index, **values):
    return FrameRecord(bag="drive", index=index, model="net", stamp_ns=START_NS + index * STEP_NS, points=4, **values)


def test_results_lie_beside_the_truth_and_go_when_a_frame_is_dropped(shown):
    found, truth = BoxesRecord.of(boxes(2, speed=3.0), np.zeros(2, np.int64)), BoxesRecord.of(boxes(1), np.ones(1, int))
    records = [
        record(0, found=found, truth=truth, quality=0.5, stage_ms={"total": 12.5, "decode": 1.0}),
        record(1, truth=truth, dropped="superseded"),
    ]
    path = shown(lambda viewer: show_records(viewer, records, "lidar"))
    assert rows(path, "net/output/objects", "Boxes3D:labels") == [(START_NS, ["car 0.75"] * 2)]
    assert rows(path, "net/output/objects", "Clear:is_recursive") == [(START_NS + STEP_NS, [True])]
    assert rows(path, "net/output/objects/velocities", "Arrows3D:vectors")[0][1] == [[3.0, 0.0, 0.0]] * 2
    assert [len(row) for _, row in rows(path, TRUTH, "Boxes3D:centers")] == [1, 1]
    assert rows(path, "net/ms/total", "Scalars:scalars") == [(START_NS, [12.5])]
    assert rows(path, "net/quality", "Scalars:scalars") == [(START_NS, [0.5])]
    assert rows(path, "net/frames", "TextLog:text") == [(START_NS + STEP_NS, ["net: frame 1: superseded"])]
    assert "/net/ms/decode" not in entities(path)
