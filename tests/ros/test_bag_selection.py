from __future__ import annotations

from pathlib import Path

import pytest
from bags import START_NS, best_effort, text, transforms, write_bag
from rosbags.rosbag2 import StoragePlugin

from perception.configuration import ConfigurationError
from perception.ros.bag_publishers import message_class, replay_qos
from perception.ros.bag_selection import SelectedBag, Selection


@pytest.fixture(scope="module", params=[StoragePlugin.MCAP, StoragePlugin.SQLITE3], ids=["mcap", "sqlite3"])
def bag(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four seconds: /tf_static once, /a and /camera/b every second."""
    messages = [("/tf_static", 0.0, transforms("lidar"))]
    for second in range(5):
        messages += [("/a", float(second), text(f"a{second}")), ("/camera/b", second + 0.5, text(f"b{second}"))]
    return write_bag(tmp_path_factory.mktemp("bags") / "bag", messages, storage=request.param)


def played(bag: Path, selection: Selection) -> list[tuple[str, float]]:
    with SelectedBag(bag, selection) as selected:
        return [(message.topic, (message.time_ns - START_NS) / 1e9) for message in selected.messages()]


def test_everything(bag: Path) -> None:
    assert len(played(bag, Selection())) == 11


def test_a_single_file(bag: Path) -> None:
    (file,) = [file for file in bag.iterdir() if file.suffix in (".mcap", ".db3")]
    assert played(file, Selection()) == played(bag, Selection())


def test_topics_by_pattern(bag: Path) -> None:
    assert {topic for topic, _ in played(bag, Selection(topics=("/camera/*",)))} == {"/camera/b"}
    assert {topic for topic, _ in played(bag, Selection(exclude=("/camera/*", "/tf*")))} == {"/a"}


def test_a_span_with_the_latched_messages_from_before(bag: Path) -> None:
    assert played(bag, Selection(start_s=1.2, duration_s=1.5)) == [
        ("/tf_static", 1.2),
        ("/camera/b", 1.5),
        ("/a", 2.0),
        ("/camera/b", 2.5),
    ]


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        (Selection(topics=("/nix",)), "no topic /nix (recorded: /a, /camera/b, /tf_static)"),
        (Selection(exclude=("*",)), "no messages to replay"),
        (Selection(start_s=99.0), "lasts 4.5 s, start is after its end"),
    ],
)
def test_a_selection_that_leaves_nothing(bag: Path, selection: Selection, expected: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        SelectedBag(bag, selection)
    assert expected in str(error.value)


def test_what_is_no_bag(tmp_path: Path) -> None:
    for name, content, expected in (
        ("missing", None, "no such bag"),
        ("old.bag", b"#ROSBAG V2.0\n", "a ROS 1 bag"),
        ("text.txt", b"hello", "not a readable rosbag2"),
        ("broken.mcap", b"hello", "not a readable rosbag2"),
    ):
        if content is not None:
            (tmp_path / name).write_bytes(content)
        with pytest.raises(ConfigurationError, match=expected):
            SelectedBag(tmp_path / name, Selection())


def test_a_bag_that_was_cut_off(tmp_path: Path) -> None:
    bag = write_bag(tmp_path / "bag", [("/a", 0.1 * index, text("x" * 1000)) for index in range(50)])
    file = bag / "bag.mcap"
    file.write_bytes(file.read_bytes()[:20_000])
    with pytest.raises(ConfigurationError, match=str(bag)):
        played(bag, Selection())


def test_quality_of_service(tmp_path: Path) -> None:
    messages = [
        ("/a", 0.0, text("")),
        ("/b", 0.1, text("")),
        ("/tf_static", 0.2, transforms("x")),
        ("/c", 0.3, text("")),
    ]
    qos = {"/b": [best_effort(depth=3)], "/c": [best_effort(depth=1, latched=True)]}
    with SelectedBag(write_bag(tmp_path / "bag", messages, qos=qos), Selection()) as bag:
        found = {connection.topic: replay_qos([connection]) for connection in bag.connections}
    names = {topic: (one.reliability.name, one.durability.name, one.depth) for topic, one in found.items()}
    assert names == {
        "/a": ("RELIABLE", "VOLATILE", 10),
        "/b": ("BEST_EFFORT", "VOLATILE", 3),
        "/tf_static": ("RELIABLE", "TRANSIENT_LOCAL", 10),
        "/c": ("BEST_EFFORT", "TRANSIENT_LOCAL", 1),
    }


def test_message_types() -> None:
    found = message_class("sensor_msgs/msg/PointCloud2")
    assert found is not None
    assert found.__name__ == "PointCloud2"
    assert message_class("vendor_msgs/msg/Secret") is None
    assert message_class("sensor_msgs/msg/NotThere") is None
