"""Our stand-ins for packages that PyPI lacks must be the real ones on the wire."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

#: RIHS01 hashes (REP-2011) of the released packages: nodes whose hashes differ do not talk to each other.
#: The header of the generated code of vision_msgs 4.1.1 and tf2_msgs states them.
RELEASED_HASHES = {
    "vision_msgs/msg/Detection3DArray": "793f5eab9595ac1c0da07873cc859db42eae51f0ee76056db8562515d830e018",
    "vision_msgs/msg/Detection3D": "ddd703be132ab0b69d33121f1bb034132bfbb3b0ac5f9fb1516005ba1c8a265b",
    "vision_msgs/msg/BoundingBox3D": "bbb73a65c163d7f9bb29009c7bde9f7faa576bd2d23299c4511d19230dab4698",
    "vision_msgs/msg/ObjectHypothesis": "51da43cec11c01957a64d1e05a24acd18aae7745ec30b74348ad5f6d634f7f90",
    "vision_msgs/msg/ObjectHypothesisWithPose": "41c12344c0396c48b81df12467c192d99b2a0eb1463c5c37194e4223251c80bc",
}


def type_hash(name: str) -> str:
    """The hash that the installed package's type description states."""
    prefixes = [*os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep), sys.prefix]
    found = [file for prefix in prefixes if (file := Path(prefix, "share", f"{name}.json")).is_file()]
    if not found:  # Humble, which has no type hashes
        pytest.skip(f"the ROS_DISTRO in use describes no {name}.json")
    hashes = {entry["type_name"]: entry["hash_string"] for entry in json.loads(found[0].read_text())["type_hashes"]}
    return hashes[name].removeprefix("RIHS01_")


@pytest.mark.parametrize("name", RELEASED_HASHES)
def test_types_are_the_released_ones(name: str) -> None:
    assert type_hash(name) == RELEASED_HASHES[name]


def test_transforms_are_the_ones_that_bags_hold() -> None:
    from rosbags.typesys import Stores, get_typestore

    typestore = get_typestore(Stores.ROS2_KILTED)
    expected = typestore.hash_rihs01("tf2_msgs/msg/TFMessage")
    assert type_hash("tf2_msgs/msg/TFMessage") == expected.removeprefix("RIHS01_")
