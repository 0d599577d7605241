"""Results wait on disk, not in memory."""

import tracemalloc

import numpy as np

from perception.bringup.graph.spool import Spool
from perception.nodes.recorded import RecordedFrame
from perception.types import LabelledCloud

POINTS = 50_000


def frame(number):
    class_ids = np.full(POINTS, number % 200, np.uint8)
    result = LabelledCloud(class_ids, np.full(POINTS, 0.5, np.float32))
    return RecordedFrame(number, 1_000_000 * number, result, stage_ms={"inference": 5.0}, total_ms=0.25)


def test_frames_come_back_in_any_order(tmp_path):
    with Spool(tmp_path) as spool:
        for number in range(5):
            spool.add([frame(number)])
        assert [(one.stamp_ns, one.began_ns) for one in spool.arrivals] == [
            (number, 1_000_000 * number - 250_000) for number in range(5)
        ]
        for number in (3, 0, 4):
            back = spool.frame(number)
            assert (back.stamp_ns, back.stage_ms) == (number, {"inference": 5.0})
            np.testing.assert_array_equal(back.result.class_ids, number)
    assert list(tmp_path.iterdir()) == []


def test_memory_is_flat(tmp_path):
    with Spool(tmp_path) as spool:
        spool.add([frame(0)])
        tracemalloc.start()
        for number in range(400):
            spool.add([frame(number)])
        kept, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    # Two frames at a time, and what is known of each; all of them would be 100 MB.
    assert peak < 4 * 5 * POINTS
    assert kept < 400 * 500
