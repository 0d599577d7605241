"""Bags whose clock jumps, whose stamps repeat, and whose end is missing, in the running graph."""

from pathlib import Path

import pytest

from perception.bringup.evaluate.online import NOT_REPLAYED, OnlineOptions, online_outcomes
from perception.bringup.graph.running import GraphOptions
from perception.data.new_bag import NewBag
from perception.data.recorded_drive import RecordedDrive
from perception.data.recording.messages import store_of
from perception.data.recording.recording import Recording
from perception.evaluation.models import find_models
from perception.evaluation.records import labels_sha256

pytestmark = [pytest.mark.ros, pytest.mark.slow]
FRAMES = 6
#: Bag seconds a second: slow enough that nothing is dropped.
RATE = 0.05
HOUR_NS = 3_600_000_000_000


def twice(bag: Path, path: Path) -> Path:
    """A bag as it comes about when a driver starts again with its own clock, and the recorder's has been set since."""
    recording, copy = Recording(bag), NewBag(path, None, overwrite=False)
    for topic, channel in recording.channels.items():
        copy.add_topic(topic, channel.message_type, store_of(channel), topic == "/tf_static")
    for later_ns in (0, HOUR_NS):
        for raw in recording.messages(list(recording.channels)):
            copy.write_recorded(raw.channel.topic, raw.log_time_ns + later_ns, raw.data)
    copy.finish()
    return path


def cut(bag: Path, path: Path) -> Path:
    """The first two thirds of a bag's only file."""
    (file,) = bag.glob("*.mcap")
    path.write_bytes(file.read_bytes()[: file.stat().st_size * 2 // 3])
    return path


def damaged(bag: Path, path: Path) -> Path:
    """A compressed copy of a bag, with rubbish after the first half."""
    recording, copy = Recording(bag), NewBag(path, "zstd", overwrite=False)
    for topic, channel in recording.channels.items():
        copy.add_topic(topic, channel.message_type, store_of(channel), topic == "/tf_static")
    for raw in recording.messages(list(recording.channels)):
        copy.write_recorded(raw.channel.topic, raw.log_time_ns, raw.data)
    copy.finish()
    (file,) = path.glob("*.mcap")
    content = bytearray(file.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 100_000] = bytes(100_000)
    file.write_bytes(content)
    return path


def test_what_comes_before_damage_is_evaluated_and_the_rest_accounted_for(short_bag: Path, tmp_path: Path) -> None:
    problems: list[tuple[str, str, str]] = []
    options = OnlineOptions(GraphOptions(tmp_path / "logs"), RATE, on_problem=lambda *one: problems.append(one))
    bag = damaged(short_bag, tmp_path / "damaged")
    outcomes = list(online_outcomes([RecordedDrive(bag)], find_models(["spvcnn_street"]), options))
    assert outcomes[0].result is not None
    assert {outcome.dropped for outcome in outcomes} == {"", NOT_REPLAYED}
    assert problems[0][:2] == ("spvcnn_street", NOT_REPLAYED)
    assert "damaged" in problems[0][2]


def test_each_frame_that_can_be_read_has_its_own_result(short_bag: Path, tmp_path: Path) -> None:
    bags = [twice(short_bag, tmp_path / "twice"), cut(short_bag, tmp_path / "cut.mcap")]
    options = OnlineOptions(GraphOptions(tmp_path / "logs"), RATE)
    outcomes = list(online_outcomes(list(map(RecordedDrive, bags)), find_models(["spvcnn_street"]), options))

    assert [outcome.dropped for outcome in outcomes] == [""] * len(outcomes)
    found = {bag.stem: [one for one in outcomes if one.bag == bag.stem] for bag in bags}
    labels = [labels_sha256(outcome.result.class_ids) for outcome in found["twice"]]
    assert [outcome.index for outcome in found["twice"]] == list(range(2 * FRAMES))
    assert labels[:FRAMES] == labels[FRAMES:]
    assert len(set(labels)) == FRAMES
    assert all(0 < outcome.stage_ms["end_to_end"] < 10_000 for outcome in outcomes)
    count = len(found["cut"])
    assert 0 < count < FRAMES
    assert [labels_sha256(outcome.result.class_ids) for outcome in found["cut"]] == labels[:count]
    # No copy of a bag is left behind.
    assert not list((tmp_path / "logs").glob("**/*.mcap"))
