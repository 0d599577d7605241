"""Messages that belong to one frame find each other, and counts say when all have come."""

import pytest

from perception.nodes.recorded import FrameParts, NodeCounts


def test_a_frame_is_whole_when_each_part_has_come():
    parts = FrameParts(("boxes", "times"), 10)
    assert parts.add(5, "times", "t5") is None
    assert parts.add(6, "boxes", "b6") is None
    assert parts.add(5, "boxes", "b5") == {"times": "t5", "boxes": "b5"}
    assert parts.take_incomplete() == [6]
    assert parts.take_incomplete() == []


def test_frames_with_one_stamp_are_told_apart_by_their_order():
    parts = FrameParts(("boxes", "times"), 10)
    found = [parts.add(5, name, text) for name, text in (("boxes", 1), ("boxes", 2), ("times", 3), ("times", 4))]
    assert found == [None, None, {"boxes": 1, "times": 3}, {"boxes": 2, "times": 4}]
    assert parts.take_incomplete() == []


def test_only_the_newest_incomplete_frames_are_kept():
    parts = FrameParts(("boxes", "times"), 2)
    for stamp_ns in (1, 2, 3):
        parts.add(stamp_ns, "boxes", stamp_ns)
    assert parts.take_incomplete() == [2, 3]


@pytest.mark.parametrize(("published", "dropped", "settled"), [(5, 4, False), (6, 4, True), (0, 0, False)])
def test_a_node_is_settled_when_every_cloud_has_met_its_end(published, dropped, settled):
    assert NodeCounts(10, published, {"superseded": dropped}).is_settled is settled
