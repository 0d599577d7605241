"""What a replay writes down of what it published."""

import struct

import pytest

from perception.data.bag_types import header, typestore
from perception.nodes.replay_trace import PublishedMessage, ReplayTrace, read_trace, stamp_ns_of
from perception.ros.read_ahead import BagMessage

STAMP_NS = 1_700_000_000_123_456_789


def test_what_is_written_is_read(tmp_path):
    data = typestore().serialize_cdr(header(STAMP_NS, "lidar"), "std_msgs/msg/Header")
    with ReplayTrace(tmp_path / "trace.csv", ("/points",)) as trace:
        trace.add(BagMessage("/points", 7, data), published_ns=2_000_000, late_ms=0.5)
        trace.add(BagMessage("/tf", 8, data), published_ns=3_000_000, late_ms=0.5)
    (message,) = read_trace(tmp_path / "trace.csv")
    assert message == PublishedMessage("/points", 7, STAMP_NS, 2_000_000, 0.5)


@pytest.mark.parametrize(("order", "kind"), [("<", 1), (">", 0)])
def test_stamps_of_either_byte_order(order, kind):
    assert stamp_ns_of(bytes((0, kind, 0, 0)) + struct.pack(f"{order}iI", -1, 250_000_000)) == -750_000_000


def test_a_message_that_is_cut_short_has_no_stamp():
    assert stamp_ns_of(b"\0\1\0\0\1\0") == 0


def test_nothing_is_written_unless_it_is_wanted(tmp_path):
    with ReplayTrace(None, ("/points",)) as trace:
        trace.add(BagMessage("/points", 7, b""), published_ns=0, late_ms=0.0)
    assert list(tmp_path.iterdir()) == []
