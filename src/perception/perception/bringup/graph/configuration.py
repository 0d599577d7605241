"""The bring-up of a graph that is measured: as on the robot, but that every object comes out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import yaml

from perception.bringup.arguments import parse_arguments
from perception.bringup.description import BringupDescription, describe
from perception.bringup.settings import load_bringup_settings

#: Where every bag's clouds go, whatever their topic in the bag.
POINTS_TOPIC = "/points"
#: Parameters by which a robot leaves out objects, or moves them; metrics are over all, in the frame of the cloud.
OBJECT_FILTERS = ("classes", "min_score", "class_min_scores", "max_range_m", "output_frame")


def write_configuration(path: Path, bundles: Sequence[Path], config: str = "", device: str = "") -> BringupDescription:
    """Write a config file that gives the clouds of POINTS_TOPIC to these bundles.

    Args:
        path: the file to write.
        bundles: folders of the bundles.
        config: how the robot is deployed; empty: config/bringup.yaml.
        device: where networks run; empty: as in that file.

    Returns:
        What `perception bringup config:=path` starts, its nodes in the order of the bundles.

    Raises:
        ConfigurationError: names the file, the key, and what was expected.
    """
    arguments = parse_arguments([f"config:={config}", f"device:={device}"])
    settings, _ = load_bringup_settings(arguments)
    values = settings.model_dump(mode="json")
    for name in OBJECT_FILTERS:
        values["nodes"].get("detection", {}).pop(name, None)
    values |= {"models": [str(bundle) for bundle in bundles], "use_sim_time": True}
    values["input"]["pointcloud"] = POINTS_TOPIC
    path.write_text(yaml.safe_dump(values, sort_keys=False))
    return describe(parse_arguments([f"config:={path}"]))
