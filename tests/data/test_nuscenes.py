"""The real nuScenes sample, laid out as the data set is, with a made-up second key frame and a sweep in between."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from perception.configuration import ConfigurationError
from perception.data.nuscenes import open_nuscenes
from perception.data.nuscenes_boxes import CLASS_OF_CATEGORY
from perception.data.poses import quaternion_of, rigid_transform, rotation_of

CATEGORY_OF_CLASS = {class_name: category for category, class_name in reversed(CLASS_OF_CATEGORY.items())}
START_US = 1532402927647951
#: The made-up sweep and key frame come 0.05 s and 0.5 s later; the vehicle moves at 4 m/s along its x axis.
SWEEP_US, NEXT_US = START_US + 50_000, START_US + 500_000
SPEED = 4.0


def pose_row(token: str, matrix: np.ndarray) -> dict[str, Any]:
    x, y, z, w = quaternion_of(matrix[:3, :3])
    return {"token": token, "translation": matrix[:3, 3].tolist(), "rotation": [w, x, y, z]}


def velocity_of(box: dict[str, Any]) -> list[float] | None:
    velocity = box["velocity_xy"]
    return None if velocity is None or None in velocity else velocity


def annotation_rows(sample: dict[str, Any]) -> list[dict[str, Any]]:
    """Each box twice: now, and half a second of its velocity later."""
    global_from_lidar = np.array(sample["ego_to_global"]) @ np.array(sample["lidar"]["lidar_to_ego"])
    rows = []
    for number, box in enumerate(sample["boxes"]):
        yaw = box["yaw"]
        in_lidar = rigid_transform(rotation_of((0, 0, np.sin(yaw / 2), np.cos(yaw / 2))), box["center"])
        length, width, height = box["size_lwh"]
        velocity = velocity_of(box)
        now, later = f"annotation {number}", f"later annotation {number}"
        for token, sample_token, time_s in ((now, "sample 0", 0.0), (later, "sample 1", 0.5)):
            if velocity is None and time_s:
                continue
            shift = rigid_transform(np.eye(3), np.append(velocity or (0, 0), 0) * time_s)
            row = pose_row(token, global_from_lidar @ shift @ in_lidar)
            row |= {
                "sample_token": sample_token,
                "instance_token": f"instance {number}",
                "size": [width, length, height],
            }
            neighbours = ("", "" if velocity is None else later) if time_s == 0 else (now, "")
            rows.append(row | {"prev": neighbours[0], "next": neighbours[1]})
    return rows


def data_row(token: str, sample_token: str, stamp_us: int, file: str, sensor: str, key: bool = True) -> dict[str, Any]:
    return {
        "token": token,
        "sample_token": sample_token,
        "timestamp": stamp_us,
        "filename": file,
        "calibrated_sensor_token": f"calibrated {sensor}",
        "ego_pose_token": f"pose {stamp_us}",
        "is_key_frame": key,
        "width": 1600,
        "height": 900,
    }


@pytest.fixture
def sample(shared: Path) -> dict[str, Any]:
    return json.loads((shared / "data" / "nuscenes_sample" / "sample.json").read_text())


@pytest.fixture
def folder(shared: Path, tmp_path: Path, sample: dict[str, Any]) -> Path:
    source = shared / "data" / "nuscenes_sample"
    global_from_ego = np.array(sample["ego_to_global"])
    lidar_file = f"samples/LIDAR_TOP/{sample['lidar']['file']}"
    data = [
        data_row("lidar 0", "sample 0", START_US, lidar_file, "LIDAR_TOP"),
        data_row("lidar sweep", "sample 0", SWEEP_US, "sweeps/LIDAR_TOP/sweep.pcd.bin", "LIDAR_TOP", key=False),
        data_row("lidar 1", "sample 1", NEXT_US, lidar_file, "LIDAR_TOP"),
    ]
    calibrations = [pose_row("calibrated LIDAR_TOP", np.array(sample["lidar"]["lidar_to_ego"]))]
    (tmp_path / "samples" / "LIDAR_TOP").mkdir(parents=True)
    (tmp_path / "sweeps" / "LIDAR_TOP").mkdir(parents=True)
    shutil.copy(source / sample["lidar"]["file"], tmp_path / lidar_file)
    np.array([[1, 2, 3, 51, 7]], np.float32).tofile(tmp_path / "sweeps/LIDAR_TOP/sweep.pcd.bin")
    for name, camera in sample["cameras"].items():
        (tmp_path / "samples" / name).mkdir()
        shutil.copy(source / camera["file"], tmp_path / "samples" / name)
        stamp_us = round(camera["timestamp_s"] * 1e6)
        data.append(data_row(name, "sample 0", stamp_us, f"samples/{name}/{camera['file']}", name))
        calibration = pose_row(f"calibrated {name}", np.array(camera["camera_to_ego"]))
        calibrations.append(calibration | {"camera_intrinsic": camera["intrinsics"]})
    for row in calibrations:
        row["sensor_token"] = row["token"].replace("calibrated", "sensor")
    channels = ["LIDAR_TOP", *sample["cameras"]]
    categories = {box["name"]: CATEGORY_OF_CLASS.get(box["name"], "animal") for box in sample["boxes"]}
    stamps_us = {row["timestamp"] for row in data}
    tables = {
        "scene": [{"token": "scene", "name": "scene-0061"}, {"token": "other", "name": "scene-0103"}],
        "log": [],
        "sample": [
            {"token": "sample 0", "scene_token": "scene", "timestamp": START_US},
            {"token": "sample 1", "scene_token": "scene", "timestamp": NEXT_US},
            {"token": "elsewhere", "scene_token": "other", "timestamp": 0},
        ],
        "sample_data": [*data, data_row("x", "elsewhere", 1, "nothing", "LIDAR_TOP")],
        "sensor": [{"token": f"sensor {channel}", "channel": channel} for channel in channels],
        "calibrated_sensor": calibrations,
        "ego_pose": [
            pose_row(f"pose {us}", global_from_ego @ rigid_transform(np.eye(3), (SPEED * (us - START_US) / 1e6, 0, 0)))
            for us in stamps_us
        ],
        "sample_annotation": annotation_rows(sample),
        "instance": [
            {"token": f"instance {number}", "category_token": f"category {box['name']}"}
            for number, box in enumerate(sample["boxes"])
        ],
        "category": [{"token": f"category {name}", "name": category} for name, category in categories.items()],
    }
    (tmp_path / "v1.0-mini").mkdir()
    for name, rows in tables.items():
        (tmp_path / "v1.0-mini" / f"{name}.json").write_text(json.dumps(rows))
    return tmp_path


def test_boxes_hold_the_points_they_should(folder: Path, sample: dict[str, Any], count_inside: Callable) -> None:
    frame = next(iter(open_nuscenes(folder, scene="scene-0061").frames))
    expected = [box for box in sample["boxes"] if box["name"] != "ignore"]
    assert frame.objects.class_names == tuple(box["name"] for box in expected)
    assert len(frame.frame.cloud) == 34688
    # Of all 69 boxes, one of which is of no detection class, 61 are exact, and the others differ by 29 points in all.
    counts = count_inside(frame.frame.cloud.points, frame.objects)
    differences = [abs(count - box["num_lidar_points"]) for count, box in zip(counts, expected, strict=True)]
    assert len(differences) == 68
    assert sum(difference == 0 for difference in differences) == 60
    assert sum(differences) <= 29
    np.testing.assert_allclose(frame.objects.centers, [box["center"] for box in expected], atol=2e-5)
    np.testing.assert_allclose(frame.objects.sizes, [box["size_lwh"] for box in expected], atol=1e-6)


def test_velocities_come_from_the_neighbouring_key_frames(folder: Path, sample: dict[str, Any]) -> None:
    frame = next(iter(open_nuscenes(folder, scene="scene-0061").frames))
    expected = [velocity_of(box) or (np.nan, np.nan) for box in sample["boxes"] if box["name"] != "ignore"]
    np.testing.assert_allclose(frame.objects.velocities, expected, atol=1e-5)
    assert len(set(frame.objects.ids)) == 68


def test_cameras_and_their_calibration(folder: Path, sample: dict[str, Any]) -> None:
    frame = next(iter(open_nuscenes(folder, scene="scene-0061").frames))
    assert [image.name for image in frame.images] == list(sample["cameras"])
    assert frame.frame.stamp_ns == START_US * 1000
    for image, camera in zip(frame.images, sample["cameras"].values(), strict=True):
        assert image.stamp_ns == round(camera["timestamp_s"] * 1e6) * 1000
        assert (image.width, image.height, image.format, image.encoded[:2]) == (1600, 900, "jpeg", b"\xff\xd8")
        np.testing.assert_array_equal(image.intrinsics, camera["intrinsics"])
        np.testing.assert_allclose(image.base_from_camera, camera["camera_to_ego"], atol=1e-6)


def test_sweeps_between_key_frames(folder: Path) -> None:
    drive = open_nuscenes(folder, "v1.0-mini", "scene-0061")
    frames = list(drive.frames)
    assert drive.frame_count == 3
    assert [frame.objects is None for frame in frames] == [False, True, False]
    assert [len(frame.images) for frame in frames] == [6, 0, 0]
    np.testing.assert_allclose(frames[1].frame.cloud.points, [[1, 2, 3, 0.2]], rtol=1e-6)
    assert frames[1].frame.cloud.ring.tolist() == [7]
    assert frames[0].frame.cloud.points[:, 3].max() <= 1
    for frame, seconds in zip(frames, (0, 0.05, 0.5), strict=True):
        np.testing.assert_allclose(frame.odom_from_base[:3, 3], (SPEED * seconds, 0, 0), atol=1e-6)
        np.testing.assert_allclose(frame.twist, (SPEED, 0, 0, 0, 0, 0), atol=1e-5)
    keyframes = open_nuscenes(folder, scene="scene-0061", keyframes_only=True)
    assert [frame.objects is None for frame in keyframes.frames] == [False, False]


@pytest.mark.parametrize(
    ("scene", "damage", "message"),
    [
        (None, lambda tables: None, "choose one of its 2 scenes with --scene: scene-0061, scene-0103"),
        ("scene-9", lambda tables: None, "choose one of its 2 scenes"),
        ("scene-0061", lambda tables: (tables / "ego_pose.json").unlink(), r"ego_pose\.json: cannot be read"),
        ("scene-0061", lambda tables: (tables / "ego_pose.json").write_text("[{"), r"ego_pose\.json: not valid JSON"),
        ("scene-0061", lambda tables: (tables / "ego_pose.json").write_text("[]"), "contradict each other"),
        ("scene-0061", lambda tables: (tables / "sample.json").write_text("[{}]"), r"sample\.json: a row has no"),
        ("scene-0061", lambda tables: shutil.rmtree(tables), r"no v1\.0-\*/sample\.json"),
        ("scene-0061", lambda tables: shutil.rmtree(tables.parent / "sweeps"), r"sweep\.pcd\.bin: cannot be read"),
        (
            "scene-0061",
            lambda tables: (tables.parent / "sweeps/LIDAR_TOP/sweep.pcd.bin").write_bytes(bytes(16)),
            r"sweep\.pcd\.bin: 16 bytes are not a whole number of points of 20 bytes",
        ),
    ],
)
def test_what_is_wrong_is_one_line(folder: Path, scene: str | None, damage: Callable, message: str) -> None:
    damage(folder / "v1.0-mini")
    with pytest.raises(ConfigurationError, match=message) as caught:
        list(open_nuscenes(folder, scene=scene).frames)
    assert "\n" not in str(caught.value)
