"""nuScenes as the training data of a detector."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from perception.configuration import ConfigurationError
from perception.data.boxes import points_inside
from perception.training.data_settings import NuscenesData
from perception.training.sources import open_clouds
from tests.data.test_nuscenes import folder, sample  # noqa: F401

SCENES = {"training_scenes": ("scene-0061",), "validation_scenes": ("scene-0103",)}


def data_of(nuscenes: Path, **values: object) -> NuscenesData:
    return NuscenesData(source="nuscenes", folder=nuscenes, **SCENES | values)


def test_key_frames_come_with_their_boxes(folder: Path, tmp_path: Path) -> None:  # noqa: F811
    clouds = open_clouds(data_of(folder), "training", tmp_path / "work", boxes=True)
    assert len(clouds) == 2
    assert all(cloud.points.shape[1] == 4 for cloud in clouds)
    first = clouds[0].boxes
    assert {"car", "pedestrian"} <= set(first.class_names)
    assert (points_inside(clouds[0].points, first) > 5).sum() > 5
    again = open_clouds(data_of(folder), "training", tmp_path / "work", boxes=True)
    np.testing.assert_array_equal(again[1].points, clouds[1].points)
    assert len(open_clouds(data_of(folder, sweep_step=2), "training", tmp_path / "work", boxes=True)) == 1


def test_sweeps_before_a_key_frame_are_merged(folder: Path, tmp_path: Path) -> None:  # noqa: F811
    (cloud,) = open_clouds(data_of(folder, merged_sweeps=2), "training", tmp_path / "work", boxes=True)
    assert cloud.points.shape[1] == 5
    lags_s, counts = np.unique(cloud.points[:, 4].round(3), return_counts=True)
    np.testing.assert_allclose(lags_s, [0, 0.45], atol=1e-3)
    assert counts[1] == 1  # the sweep in between has one point, at 1, 2, 3 m, seen from 1.8 m further on
    moved = cloud.points[cloud.points[:, 4] > 0.1][0]
    assert np.linalg.norm(moved[:3] - [1, 2, 3]) == pytest.approx(1.8, abs=0.1)


def test_a_scene_that_is_not_there(folder: Path, tmp_path: Path) -> None:  # noqa: F811
    absent = data_of(folder, training_scenes=("scene-0007",))
    with pytest.raises(ConfigurationError, match="no labelled sweeps of scene-0007"):
        open_clouds(absent, "training", tmp_path / "work", boxes=True)
