"""Messages that belong to one frame find each other."""

from perception.nodes.recorded import FrameParts


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
