"""The clouds to compare on: files, bags, or simulated sweeps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from perception.configuration import ConfigurationError
from perception.data.bags import write_drive
from perception.data.clouds import find_clouds
from perception.data.simulation import simulate_drive


def test_clouds_of_a_bag(tmp_path: Path) -> None:
    frames = list(simulate_drive(seed=3, sensor="nuscenes32", frames=3))
    write_drive(tmp_path / "bag", frames)
    clouds = find_clouds(tmp_path / "bag", None, "hdl64e", 2)
    assert len(clouds) == 2
    for cloud, moment in zip(clouds, frames, strict=False):
        np.testing.assert_array_equal(cloud, moment.frame.cloud.points)


def test_simulated_sweeps_are_of_different_streets() -> None:
    first, second = find_clouds(None, None, "nuscenes32", 2)
    assert first.shape != second.shape
    assert first.shape[1] == 4
    assert first.dtype == np.float32


def test_points_that_are_no_numbers_are_left_out(tmp_path: Path) -> None:
    points = np.arange(20, dtype=np.float32).reshape(5, 4)
    points[1, 2], points[3, 3] = np.nan, np.inf
    points.tofile(tmp_path / "cloud.bin")
    (cloud,) = find_clouds(None, [tmp_path / "cloud.bin"], "hdl64e", 1)
    np.testing.assert_array_equal(cloud, points[[0, 2, 4]])


def test_nothing_to_compare_on_is_said(tmp_path: Path) -> None:
    np.full((3, 4), np.nan, np.float32).tofile(tmp_path / "cloud.bin")
    with pytest.raises(ConfigurationError, match=r"cloud\.bin: holds no points"):
        find_clouds(None, [tmp_path / "cloud.bin"], "hdl64e", 1)
