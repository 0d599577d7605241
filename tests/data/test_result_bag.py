"""What was given to networks, and what they found, as a bag that other tools read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from mcap.reader import make_reader
from rosbags.highlevel import AnyReader

from perception.configuration import ConfigurationError
from perception.data.bags import read_drive, write_drive
from perception.data.drive import DriveFrame
from perception.data.recorded_drive import RecordedDrive
from perception.data.result_bag import ResultBag
from perception.types import DetectedObjects, LabelledCloud

MakeFrame = Callable[..., DriveFrame]

COLORS = {"labels": {"road": (255, 0, 255), "car": (10, 20, 30)}, "boxes": {"car": (255, 0, 0)}}
CLOUDS, OBJECTS, MARKERS = "/labels/output/pointcloud/segmentation", "/boxes/output/objects", "/boxes/output/markers"


def labels_of(frame: DriveFrame) -> LabelledCloud:
    count = len(frame.frame.cloud)
    return LabelledCloud((np.arange(count) % 2).astype(np.uint8), np.linspace(0, 1, count, dtype=np.float32))


def evaluate(drive: RecordedDrive, path: Path, count: int = 100) -> list[DriveFrame]:
    """Give a result bag what two networks found in the first frames: the truth, and every second point a car."""
    frames = list(drive.frames())[:count]
    with ResultBag(path, drive, COLORS) as bag:
        for index, frame in enumerate(frames):
            bag.add(index, frame, "labels", labels_of(frame))
        for index, frame in enumerate(frames):
            bag.add(index, frame, "boxes", DetectedObjects(frame.objects) if index != 1 else None)
    return frames


def messages_of(path: Path) -> dict[str, list[tuple[int, object]]]:
    found: dict[str, list[tuple[int, object]]] = {}
    with AnyReader([path]) as reader:
        for connection, time_ns, data in reader.messages():
            found.setdefault(connection.topic, []).append((time_ns, reader.deserialize(data, connection.msgtype)))
    return found


def stamp_of(message: object) -> int:
    return message.header.stamp.sec * 10**9 + message.header.stamp.nanosec


def test_inputs_truth_and_results_are_in_it(tmp_path: Path, full_frame: MakeFrame) -> None:
    write_drive(tmp_path / "drive", [full_frame(index) for index in range(4)])
    drive = RecordedDrive(tmp_path / "drive")
    frames = evaluate(drive, tmp_path / "results")
    before, after = messages_of(tmp_path / "drive"), messages_of(tmp_path / "results")
    assert set(after) == {*before, CLOUDS, OBJECTS, MARKERS}
    for topic, recorded in before.items():
        assert [time for time, _ in after[topic]] == [time for time, _ in recorded]
    assert [frame.frame.stamp_ns for frame in read_drive(tmp_path / "results")] == [f.frame.stamp_ns for f in frames]
    for (_, cloud), (_, points), frame in zip(after[CLOUDS], after["/points"], frames, strict=True):
        assert (stamp_of(cloud), cloud.header.frame_id) == (frame.frame.stamp_ns, points.header.frame_id)
        rows = np.frombuffer(cloud.data, [("xyz", "f4", 3), ("p", "f4"), ("c", "u4"), ("rgb", "u4")])
        assert {field.name: field.offset for field in cloud.fields} == {
            "x": 0, "y": 4, "z": 8, "probability": 12, "class_id": 16, "rgb": 20,
        }  # fmt: skip
        assert np.array_equal(rows["xyz"], frame.frame.cloud.points[:, :3])
        assert rows["c"][:2].tolist() == [0, 1]
        assert rows["rgb"][:2].tolist() == [0xFF00FF, 0x0A141E]
    assert [stamp_of(message) for _, message in after[OBJECTS]] == [frames[i].frame.stamp_ns for i in (0, 2, 3)]
    assert [len(message.detections) for _, message in after[OBJECTS]] == [0, 2, 3]
    assert [len(message.markers) for _, message in after[MARKERS]] == [1, 3, 4]
    assert {time for time, _ in after[OBJECTS]} < {time for time, _ in after["/points"]}


def test_other_tools_read_it(tmp_path: Path, full_frame: MakeFrame) -> None:
    write_drive(tmp_path / "drive", [full_frame(index) for index in range(3)])
    evaluate(RecordedDrive(tmp_path / "drive"), tmp_path / "results")
    (file,) = (tmp_path / "results").glob("*.mcap")
    with file.open("rb") as stream:
        reader = make_reader(stream, validate_crcs=True)
        topics = [channel.topic for _, channel, _ in reader.iter_messages()]
        encodings = {channel.message_encoding for channel in reader.get_summary().channels.values()}
        assert {index.compression for index in reader.get_summary().chunk_indexes} == {"zstd"}
    assert encodings == {"cdr"}
    assert topics.count(CLOUDS) == topics.count("/points") == 3


def test_an_evaluation_that_ends_early_leaves_what_it_did(tmp_path: Path, full_frame: MakeFrame) -> None:
    write_drive(tmp_path / "drive", [full_frame(index) for index in range(6)])
    evaluate(RecordedDrive(tmp_path / "drive"), tmp_path / "results", count=3)
    assert len(list(read_drive(tmp_path / "results"))) == 3
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["drive", "results"]
    with pytest.raises(ConfigurationError, match="exists already"):
        ResultBag(tmp_path / "results", RecordedDrive(tmp_path / "drive"), COLORS)


def test_truth_from_another_bag_comes_along(tmp_path: Path, full_frame: MakeFrame) -> None:
    frames = [full_frame(index) for index in range(4)]
    write_drive(tmp_path / "truth", frames)
    bare = [replace(frame, class_ids=None, instance_ids=None, objects=None) for frame in frames]
    write_drive(tmp_path / "drive", bare[:3])
    evaluate(RecordedDrive(tmp_path / "drive", truth=tmp_path / "truth"), tmp_path / "results")
    for found, true in zip(read_drive(tmp_path / "results"), frames[:3], strict=True):
        assert np.array_equal(found.class_ids, true.class_ids)
        assert np.array_equal(found.objects.centers, true.objects.centers)
