"""Bags that no replay can read as they are, are played as far as they can be read."""

from pathlib import Path

import numpy as np
import pytest
from rosbags.rosbag2 import Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from perception.bringup.graph.playing import Replay
from perception.bringup.graph.replayable import replayable
from perception.configuration import ConfigurationError
from perception.data.recorded_drive import RecordedDrive
from perception.ros.bag_selection import SelectedBag, Selection
from tests.ros.bags import START_NS, STORE, cloud, text, transforms, write_bag

TOPICS = ("/points", "/tf_static")
#: A chunk of a bag holds 1 MiB, eight of these clouds.
COUNT, POINTS = 40, 8000
#: A cloud as a vendor may define it: what is added lies between the fields that everybody has.
VENDOR_CLOUD = """
std_msgs/Header header
uint64 vendor_counter
uint32 height
uint32 width
sensor_msgs/PointField[] fields
bool is_bigendian
uint32 point_step
uint32 row_step
uint8[] data
bool is_dense
string vendor_note
"""


@pytest.fixture
def messages():
    """Four seconds of clouds, and more."""
    clouds = [("/points", 0.1 * number, cloud(0.1 * number, POINTS)) for number in range(COUNT)]
    return [("/tf_static", 0.0, transforms("lidar")), ("/words", 0.0, text("word")), *clouds]


def frames_of(bag: Path):
    return [frame.frame for frame in RecordedDrive(bag, "/points").frames()]


def test_a_whole_bag_is_played_itself(tmp_path, messages):
    bag = write_bag(tmp_path / "bag", messages)
    assert replayable(bag, TOPICS, tmp_path / "copy") == bag
    assert not (tmp_path / "copy").exists()


@pytest.mark.parametrize("has_metadata", [True, False])
def test_of_a_bag_that_was_cut_off_the_rest_is_played(tmp_path, messages, has_metadata):
    bag = write_bag(tmp_path / "bag", messages)
    file = bag / "bag.mcap"
    file.write_bytes(file.read_bytes()[: file.stat().st_size * 2 // 3])
    if not has_metadata:
        (bag / "metadata.yaml").unlink()
    replay = Replay.of_bag(bag, tmp_path / "logs", limit=3)
    assert replay.bag != bag
    assert replay.topics == TOPICS
    assert replay.duration_s == pytest.approx(0.2, abs=0.01)
    expected, found = frames_of(bag), frames_of(replay.bag)
    assert 0 < len(found) < COUNT
    assert [frame.stamp_ns for frame in found] == [frame.stamp_ns for frame in expected]
    assert all(np.array_equal(one.cloud.points, other.cloud.points) for one, other in zip(found, expected, strict=True))


def test_messages_of_another_definition_are_played_as_nodes_know_them(tmp_path, messages):
    store = get_typestore(Stores.ROS2_JAZZY)
    for name in list(store.types):
        if name == "sensor_msgs/msg/PointCloud2":
            del store.types[name], store.fielddefs[name]
    store.register(get_types_from_msg(VENDOR_CLOUD, "sensor_msgs/msg/PointCloud2"))
    kind = store.types["sensor_msgs/msg/PointCloud2"]
    with Writer(tmp_path / "bag", version=9) as writer:
        connection = writer.add_connection("/points", "sensor_msgs/msg/PointCloud2", typestore=store)
        for topic, time_s, message in messages:
            if topic == "/points":
                fields = {name: getattr(message, name) for name, _ in STORE.fielddefs[message.__msgtype__][1]}
                vendor = kind(vendor_counter=7, vendor_note="made by us", **fields)
                writer.write(
                    connection, START_NS + round(time_s * 1e9), store.serialize_cdr(vendor, vendor.__msgtype__)
                )
    played = replayable(tmp_path / "bag", TOPICS, tmp_path / "copy")
    with SelectedBag(played, Selection()) as bag:
        first = next(bag.messages())
    read = STORE.deserialize_cdr(first.data, "sensor_msgs/msg/PointCloud2")
    assert (read.width, read.point_step) == (POINTS, 16)
    assert np.array_equal(read.data, messages[2][2].data)
    assert len(frames_of(played)) == COUNT


@pytest.mark.parametrize(("name", "topic", "expected"), [("missing", "/points", "there is no such bag"),
                                                         ("bag", "/nothing", "no topic /nothing")])  # fmt: skip
def test_what_cannot_be_played_is_one_sentence(tmp_path, messages, name, topic, expected):
    write_bag(tmp_path / "bag", messages)
    with pytest.raises(ConfigurationError, match=expected) as error:
        Replay.of_bag(tmp_path / name, tmp_path, topic)
    assert "\n" not in str(error.value)
