"""Settings of the middleware for large messages, set through the environment before ROS 2 starts."""

from __future__ import annotations

import os
from collections.abc import MutableMapping
from pathlib import Path

from perception.paths import share_folder

DEFAULT_MIDDLEWARE = "rmw_fastrtps_cpp"
PROFILE_VARIABLE = "FASTDDS_DEFAULT_PROFILES_FILE"
#: What Fast DDS 2 reads; Fast DDS 3 warns when it is set.
OLD_PROFILE_VARIABLE = "FASTRTPS_DEFAULT_PROFILES_FILE"
FAST_DDS_2_DISTRIBUTIONS = ("humble", "iron", "jazzy")
#: What a user sets to choose transports; any of them wins over ours.
USER_CHOICES = (PROFILE_VARIABLE, OLD_PROFILE_VARIABLE, "FASTDDS_BUILTIN_TRANSPORTS")


def prepare_environment(environment: MutableMapping[str, str] | None = None) -> Path | None:
    """Make Fast DDS carry 4 MB clouds between processes without loss; call it before `rclpy.init`.

    Args:
        environment: where to set the variables; this process's environment, which its children inherit, by default.

    Returns:
        The profile that was set, or None where the user chose transports, profiles or another middleware.
    """
    environment = os.environ if environment is None else environment
    if environment.get("RMW_IMPLEMENTATION", DEFAULT_MIDDLEWARE) != DEFAULT_MIDDLEWARE:
        return None
    if any(environment.get(name) for name in USER_CHOICES):
        return None
    profile = share_folder() / "config" / "dds" / "fastdds.xml"
    old = environment.get("ROS_DISTRO") in FAST_DDS_2_DISTRIBUTIONS
    environment[OLD_PROFILE_VARIABLE if old else PROFILE_VARIABLE] = str(profile)
    return profile
