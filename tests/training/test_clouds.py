from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from perception.training.clouds import cache_folder, load_clouds, make_clouds
from perception.training.settings import TrainingSettings
from tests.training.conftest import tiny_drive


def test_clouds_come_back_as_they_were(tmp_path: Path) -> None:
    clouds = load_clouds(make_clouds(tiny_drive, [3, 4], tmp_path))
    expected = [moment for seed in (3, 4) for moment in tiny_drive(seed)]
    assert len(clouds) == 4
    for cloud, moment in zip(clouds, expected, strict=True):
        np.testing.assert_array_equal(cloud.points, moment.frame.cloud.points)
        np.testing.assert_array_equal(cloud.class_ids, moment.class_ids)
        np.testing.assert_array_equal(cloud.instance_ids, moment.instance_ids)


def test_objects_that_are_not_told_apart_have_no_instance(tmp_path: Path) -> None:
    def unknown(seed: int):
        return (dataclasses.replace(moment, instance_ids=None) for moment in tiny_drive(seed))

    for cloud in load_clouds(make_clouds(unknown, [3], tmp_path)):
        assert cloud.instance_ids is not None
        assert cloud.instance_ids.shape == cloud.class_ids.shape
        assert not cloud.instance_ids.any()


def test_an_interrupted_run_goes_on(tmp_path: Path) -> None:
    asked: list[int] = []

    def stops_at_12(seed: int):
        asked.append(seed)
        if seed == 12 and asked.count(12) == 1:
            raise KeyboardInterrupt
        return tiny_drive(seed)

    with pytest.raises(KeyboardInterrupt):
        make_clouds(stops_at_12, [10, 11, 12, 13], tmp_path)
    assert len(make_clouds(stops_at_12, [10, 11, 12, 13], tmp_path)) == 4
    assert asked == [10, 11, 12, 12, 13]


def test_other_simulator_settings_have_another_folder(settings: TrainingSettings) -> None:
    data = settings.data
    folders = {
        cache_folder(Path(), data.model_copy(update=update))
        for update in ({}, {"sensor": "nuscenes"}, {"sweep_step": 2}, {"sweeps_per_drive": 9})
    }
    assert len(folders) == 4
