"""What an evaluation without nodes takes from the file that deploys a robot."""

from __future__ import annotations

import pytest

from perception.bringup.evaluate.deployment import Deployment
from perception.configuration import ConfigurationError
from perception.data.point_clouds import CloudSettings
from perception.paths import share_folder
from perception.ros.parameter_tables import TABLES


def deployed(tmp_path, text):
    file = tmp_path / "robot.yaml"
    file.write_text("models: [spvcnn_street]\nnodes:\n" + text)
    return Deployment.read(str(file))


def test_the_nodes_parameters_are_read_task_by_task(tmp_path):
    found = deployed(
        tmp_path,
        "  segmentation: {intensity_scale: 0.00392, max_points: 1000}\n"
        "  detection: {fixed_frame: map, max_sweep_age_s: 1, intensity_if_missing: 0.5, min_score: 0.2}\n",
    )
    assert found.clouds["segmentation"] == CloudSettings(intensity_scale=0.00392, max_points=1000)
    assert found.clouds["detection"] == CloudSettings(intensity_if_missing=0.5)
    assert (found.fixed_frame, found.max_sweep_age_s) == ("map", 1.0)


def test_without_a_file_all_is_as_the_nodes_have_it_and_as_it_is_shipped():
    """Held to the table that nodes declare, since an evaluation must not need ROS to know their defaults."""
    declared = {task: {row.name: row.default for row in rows} for task, rows in TABLES.items()}
    found, shipped = Deployment.read(""), Deployment.read(str(share_folder() / "config" / "bringup.yaml"))
    for task in ("segmentation", "detection"):
        names = ("intensity_scale", "intensity_if_missing", "max_points")
        assert CloudSettings() == CloudSettings(**{name: declared[task][name] for name in names})
        assert shipped.clouds.get(task, CloudSettings()) == CloudSettings()
    sweeps = declared["detection"]["fixed_frame"], declared["detection"]["max_sweep_age_s"]
    assert sweeps == (found.fixed_frame, found.max_sweep_age_s) == (shipped.fixed_frame, shipped.max_sweep_age_s)


def test_a_mistake_in_it_names_the_file_and_the_key(tmp_path):
    with pytest.raises(ConfigurationError, match=r"robot\.yaml: nodes\.detection\.max_points"):
        deployed(tmp_path, "  detection: {max_points: none}\n")
