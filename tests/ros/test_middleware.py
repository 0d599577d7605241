from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import pytest

from perception.ros.middleware import prepare_environment

NEW, OLD = "FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE"


@pytest.mark.parametrize(
    ("environment", "variable"),
    [
        ({}, NEW),
        ({"ROS_DISTRO": "kilted"}, NEW),
        ({"ROS_DISTRO": "jazzy"}, OLD),
        ({"ROS_DISTRO": "humble", "RMW_IMPLEMENTATION": "rmw_fastrtps_cpp"}, OLD),
    ],
)
def test_the_profile_is_set_under_the_name_that_is_read(environment: dict[str, str], variable: str) -> None:
    before = dict(environment)
    profile = prepare_environment(environment)
    assert profile is not None
    assert environment == {**before, variable: str(profile)}
    assert ElementTree.parse(profile).getroot().tag.endswith("dds")


@pytest.mark.parametrize(
    "environment",
    [
        {"RMW_IMPLEMENTATION": "rmw_cyclonedds_cpp"},
        {NEW: "/home/user/mine.xml"},
        {OLD: "/home/user/mine.xml"},
        {"FASTDDS_BUILTIN_TRANSPORTS": "UDPv4"},
    ],
)
def test_the_users_choice_stays(environment: dict[str, str]) -> None:
    before = dict(environment)
    assert prepare_environment(environment) is None
    assert environment == before
