"""Clouds of recorded data: the right ones, read when asked for, with the right labels."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from perception import cli
from perception.bundle.format import load_description
from perception.classes import IGNORED, NUSCENES_LIDARSEG, SEMANTIC_KITTI
from perception.configuration import ConfigurationError, parse_settings
from perception.data.bags import write_drive
from perception.data.nuscenes_lidarseg import VALIDATION_SCENES
from perception.training.clouds import LabelledPoints
from perception.training.settings import TrainingSettings
from perception.training.sources import LazyClouds, open_clouds
from tests.training.conftest import tiny_drive

Configure = Callable[..., TrainingSettings]


@pytest.fixture
def configure(settings: TrainingSettings) -> Configure:
    def with_data(**data: object) -> TrainingSettings:
        values = settings.model_dump(mode="json") | {"data": json.loads(json.dumps(data, default=str))}
        return parse_settings(TrainingSettings, values, "tiny.yaml")

    return with_data


def write_scan(folder: Path, stem: str, raw_labels: list[int], value: float = 0.0) -> None:
    for name in ("velodyne", "labels"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    points = np.full((len(raw_labels), 4), value, np.float32)
    points.tofile(folder / "velodyne" / f"{stem}.bin")
    np.array(raw_labels, np.uint32).tofile(folder / "labels" / f"{stem}.label")


@pytest.fixture
def semantic_kitti(tmp_path: Path) -> Path:
    for sequence in range(11):
        for number in range(3):
            labels = [10 | 5 << 16, 252 | 6 << 16, 40, 0]
            write_scan(
                tmp_path / "dataset/sequences" / f"{sequence:02}", f"{number:06}", labels, sequence + number / 10
            )
    return tmp_path


def test_semantic_kitti_is_split_as_its_benchmark_splits_it(configure: Configure, semantic_kitti: Path) -> None:
    data = configure(source="semantic_kitti", folder=semantic_kitti).data
    training, validation = (open_clouds(data, part, semantic_kitti) for part in ("training", "validation"))
    sequences = [int(cloud.points[0, 0]) for cloud in training]
    assert sequences == [sequence for sequence in (0, 1, 2, 3, 4, 5, 6, 7, 9, 10) for _ in range(3)]
    assert [round(float(cloud.points[0, 0]), 1) for cloud in validation] == [8.0, 8.1, 8.2]
    assert training[0].class_ids.tolist() == [0, 0, 8, IGNORED]
    assert training[0].instance_ids.tolist() == [10 | 5 << 16, 252 | 6 << 16, 0, 0]
    assert data.classes is SEMANTIC_KITTI


def test_steps_and_other_sequences(configure: Configure, semantic_kitti: Path) -> None:
    folder = semantic_kitti / "dataset"
    data = configure(
        source="semantic_kitti", folder=folder, training_sequences=[2], validation_sequences=[3], sweep_step=2
    ).data
    clouds = open_clouds(data, "training", semantic_kitti)
    assert [round(float(cloud.points[0, 0]), 1) for cloud in clouds] == [2.0, 2.2]
    assert data.description("training") == "1 in 2 sweeps of SemanticKITTI's sequences 02"


def test_the_real_scan(configure: Configure, shared: Path, tmp_path: Path) -> None:
    for sequence in ("00", "08"):
        for name, suffix in (("velodyne", "bin"), ("labels", "label")):
            (tmp_path / sequence / name).mkdir(parents=True)
            shutil.copy(shared / "data/semantickitti_sample" / f"000000.{suffix}", tmp_path / sequence / name)
    data = configure(source="semantic_kitti", folder=tmp_path, training_sequences=[0]).data
    (cloud,) = open_clouds(data, "training", tmp_path)
    assert cloud.points.shape == (123389, 4)
    assert np.bincount(cloud.class_ids)[[0, 8, 14]].tolist() == [544 + 990, 20975, 24514]


def test_recorded_clouds_are_read_when_asked_for_and_a_few_are_kept() -> None:
    read: list[int] = []

    def reader(number: int) -> Callable[[], LabelledPoints]:
        def read_cloud() -> LabelledPoints:
            read.append(number)
            return LabelledPoints(np.full((10, 4), number, np.float32), np.zeros(10, np.uint8))

        return read_cloud

    clouds = LazyClouds([reader(number) for number in range(5)], cache_bytes=2 * 170)
    assert len(clouds) == 5
    assert read == []
    for number in (1, 1, 2, 1, 3, 1, 2):  # 2 was used longest ago when 3 came
        assert clouds[number].points[0, 0] == number
    assert read == [1, 2, 3, 2]
    assert [int(cloud.points[0, 0]) for cloud in clouds[3:]] == [3, 4]
    assert clouds[-1].points[0, 0] == 4
    with pytest.raises(IndexError):
        clouds[5]
    nothing_kept = LazyClouds([reader(7)], cache_bytes=0)
    assert nothing_kept[0].points[0, 0] == nothing_kept[0].points[0, 0] == 7
    assert read[-2:] == [7, 7]


def test_points_without_a_place_are_left_out() -> None:
    points = np.arange(16, dtype=np.float32).reshape(4, 4)
    points[1, 2], points[3, 3] = np.nan, np.inf
    ids = np.arange(4)
    whole = LabelledPoints(points, ids.astype(np.uint8), ids.astype(np.uint32))
    cloud = LazyClouds([lambda: whole], cache_bytes=0)[0]
    assert cloud.class_ids.tolist() == cloud.instance_ids.tolist() == [0, 2]
    np.testing.assert_array_equal(cloud.points, points[[0, 2]])


def nuscenes(folder: Path, scenes: list[str], version: str = "v1.0-mini") -> Path:
    """Two labelled sweeps a scene, and a sweep without labels; every point is at the scene's number."""
    tables: dict[str, list[dict[str, object]]] = {"scene": [], "sample": [], "sample_data": [], "lidarseg": []}
    for name in ("samples", "sweeps", f"lidarseg/{version}", version):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for scene in scenes:
        tables["scene"].append({"token": f"t-{scene}", "name": scene})
        for number in (1, 0, 2):  # tables are in no order
            token = f"{scene}-{number}"
            file = f"{'sweeps' if number == 2 else 'samples'}/{token}.pcd.bin"
            row = {"token": token, "sample_token": f"s-{token}", "timestamp": 100 + number, "filename": file}
            tables["sample_data"].append(row)
            tables["sample"].append({"token": f"s-{token}", "scene_token": f"t-{scene}"})
            np.array([[int(scene[-4:]), 0, number, 255, 3]] * 4, np.float32).tofile(folder / file)
            if number != 2:
                labels = f"lidarseg/{version}/{token}_lidarseg.bin"
                tables["lidarseg"].append({"token": token, "sample_data_token": token, "filename": labels})
                np.array([17, 0, 24, 3], np.uint8).tofile(folder / labels)
    for name, rows in tables.items():
        (folder / version / f"{name}.json").write_text(json.dumps(rows))
    return folder


def numbers(clouds: object) -> list[tuple[int, int]]:
    return [(int(cloud.points[0, 0]), int(cloud.points[0, 2])) for cloud in clouds]


def test_nuscenes_is_split_as_its_kit_splits_it(configure: Configure, tmp_path: Path) -> None:
    nuscenes(tmp_path, ["scene-0061", "scene-0103", "scene-0553"])
    data = configure(source="nuscenes", folder=tmp_path).data
    training = open_clouds(data, "training", tmp_path)
    assert numbers(training) == [(61, 0), (61, 1), (553, 0), (553, 1)]
    assert numbers(open_clouds(data, "validation", tmp_path)) == [(103, 0), (103, 1)]
    names = [NUSCENES_LIDARSEG.names[class_id] for class_id in training[0].class_ids[[0, 2, 3]]]
    assert names == ["car", "driveable_surface", "pedestrian"]
    assert training[0].class_ids[1] == IGNORED
    assert training[0].points[0].tolist() == [61, 0, 0, 1]
    assert data.classes is NUSCENES_LIDARSEG


def test_the_large_set_has_its_own_split(configure: Configure, tmp_path: Path) -> None:
    scenes = [f"scene-{number:04}" for number in (1, 2, 3, 4, 5, 6, 7, 8, 9, 103, 553)]
    data = configure(source="nuscenes", folder=nuscenes(tmp_path, scenes, "v1.0-trainval")).data
    assert {scene for scene, _ in numbers(open_clouds(data, "validation", tmp_path))} == {3, 103, 553}
    assert len(VALIDATION_SCENES) == 150


def test_scenes_can_be_named(configure: Configure, tmp_path: Path) -> None:
    nuscenes(tmp_path, ["scene-0061", "scene-0103", "scene-0553"])
    names = {"training_scenes": ["scene-0553"], "validation_scenes": ["scene-0061"]}
    data = configure(source="nuscenes", folder=tmp_path, sweep_step=2, **names).data
    assert numbers(open_clouds(data, "training", tmp_path)) == [(553, 0)]
    missing = configure(source="nuscenes", folder=tmp_path, training_scenes=["scene-0007"]).data
    with pytest.raises(ConfigurationError, match="no labelled sweeps of scene-0007"):
        open_clouds(missing, "training", tmp_path)
    both = configure(source="nuscenes", folder=tmp_path, training_scenes=["scene-0103"]).data
    with pytest.raises(ConfigurationError, match="scene-0103: for training and for validation"):
        open_clouds(both, "training", tmp_path)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "v1.0-mini/lidarseg.json").unlink(), r"no lidarseg\.json; unpack"),
        (lambda folder: (folder / "v1.0-mini/scene.json").write_text("[]"), "contradict each other"),
        (lambda folder: (folder / "v1.0-mini/sample.json").write_text("["), "not valid JSON"),
        (lambda folder: next(folder.glob("lidarseg/*/*-0_*")).write_bytes(b"abc"), "3 labels for a sweep of 4 points"),
        (lambda folder: next(folder.glob("samples/*-0.pcd.bin")).unlink(), "cannot be read"),
    ],
)
def test_damaged_nuscenes_is_one_sentence(
    configure: Configure, tmp_path: Path, damage: Callable[[Path], object], message: str
) -> None:
    damage(nuscenes(tmp_path, ["scene-0061"]))
    with pytest.raises(ConfigurationError, match=message) as caught:
        list(open_clouds(configure(source="nuscenes", folder=tmp_path).data, "training", tmp_path))
    assert "\n" not in str(caught.value)


def test_bags_are_read_once_into_files(configure: Configure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    moments = list(tiny_drive(3, 5))
    for name in ("one", "two"):
        write_drive(tmp_path / name, moments)
    bags = {"training_bags": [tmp_path / "one"], "validation_bags": [tmp_path / "two"]}
    data = configure(source="bags", sweep_step=2, **bags).data
    clouds = open_clouds(data, "training", tmp_path / "work")
    assert len(clouds) == 3
    for cloud, moment in zip(clouds, moments[::2], strict=True):
        np.testing.assert_array_equal(cloud.points, moment.frame.cloud.points)
        np.testing.assert_array_equal(cloud.class_ids, moment.class_ids)
        np.testing.assert_array_equal(cloud.instance_ids, moment.instance_ids)
    monkeypatch.setattr("perception.training.sources.labelled_clouds", None)
    assert len(open_clouds(data, "training", tmp_path / "work")) == 3
    assert data.description("validation") == "1 in 2 clouds of the bags two"


def test_a_bag_without_labels_is_one_sentence(configure: Configure, tmp_path: Path) -> None:
    bare = [replace(moment, class_ids=None, instance_ids=None) for moment in tiny_drive(3)]
    write_drive(tmp_path / "bare", bare)
    data = configure(source="bags", training_bags=[tmp_path / "bare"], validation_bags=[tmp_path / "none"]).data
    with pytest.raises(ConfigurationError, match="no labelled clouds on /ground_truth/points"):
        open_clouds(data, "training", tmp_path)
    with pytest.raises(ConfigurationError, match="no such bag"):
        open_clouds(data, "validation", tmp_path)
    on_points = data.model_copy(update={"topic": "/points"})
    with pytest.raises(ConfigurationError, match="no field class_id"):
        open_clouds(on_points, "training", tmp_path)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"source": "magic"}, r"magic"),
        ({"source": "semantic_kitti"}, r"folder: Field required"),
        ({"source": "semantic_kitti", "folder": "x", "sequences": [1]}, r"unknown key 'data\.sequences'.*sweep_step"),
        ({"source": "semantic_kitti", "folder": "x", "training_sequences": [8]}, "overlap"),
        ({"source": "bags", "training_bags": ["x"], "validation_bags": ["x"]}, "overlap"),
        ({"source": "bags", "training_bags": [], "validation_bags": ["x"]}, "training_bags"),
        ({"sensor": "hdl64e"}, "training_seeds: Field required"),
        (3, "data"),
    ],
)
def test_wrong_sources_are_one_sentence(settings: TrainingSettings, data: object, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message) as caught:
        parse_settings(TrainingSettings, settings.model_dump(mode="json") | {"data": data}, "tiny.yaml")
    assert "\n" not in str(caught.value)


def test_a_training_on_nuscenes_gives_a_bundle_of_its_classes(
    configure: Configure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = nuscenes(tmp_path / "nuscenes", ["scene-0061", "scene-0103"])
    for file in folder.glob("samples/*.bin"):
        points = np.random.default_rng(0).uniform(-5, 5, (4, 5)).astype(np.float32)
        points.tofile(file)
    settings = configure(source="nuscenes", folder=folder)
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(settings.model_dump(mode="json")))
    assert cli.main(["train", "tiny.yaml", "--out", "bundle", "--steps", "2"]) == 0
    assert "driveable_surface" in capsys.readouterr().out
    description = load_description(tmp_path / "bundle")
    assert description.classes == NUSCENES_LIDARSEG.names
    assert description.colors == tuple(map(tuple, NUSCENES_LIDARSEG.colors.tolist()))
    assert "the validation scenes of nuScenes" in description.measured["on"]
    assert {name for name in description.measured if "." in name} == {
        "iou.car",
        "iou.pedestrian",
        "iou.driveable_surface",
    }
