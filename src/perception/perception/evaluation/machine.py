"""Which machine an evaluation ran on: a figure without it cannot be compared."""

from __future__ import annotations

import os
import platform
import re
from importlib.metadata import PackageNotFoundError, distributions, version
from pathlib import Path

import psutil

from perception import __version__
from perception.evaluation.results import MachineDescription

PACKAGES = ("numpy", "torch", "rosbags", "open3d")


def describe_machine() -> MachineDescription:
    """Describe this machine and the versions of the software that matters."""
    return MachineDescription(
        cpu=_cpu_model(),
        cores=len(os.sched_getaffinity(0)),
        memory_gib=round(psutil.virtual_memory().total / 2**30, 1),
        system=f"{_system_name()}, Linux {platform.release()}, {platform.machine()}",
        ros_distro=_ros_distro(),
        rmw=os.environ.get("RMW_IMPLEMENTATION", "rmw_fastrtps_cpp"),
        versions=_versions(),
    )


def _cpu_model() -> str:
    # Arm boards have no "model name"; theirs is in the device tree.
    device_tree = Path("/proc/device-tree/model")
    if device_tree.is_file():
        return device_tree.read_text().rstrip("\0")
    found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found.group(1) if found else platform.machine()


def _system_name() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return platform.system()


def _ros_distro() -> str:
    """The sourced ROS 2, or the distribution that the installed wheels belong to."""
    if "ROS_DISTRO" in os.environ:
        return os.environ["ROS_DISTRO"]
    for distribution in distributions():
        found = re.fullmatch(r"ros-(\w+)-rclpy", distribution.metadata["Name"] or "")
        if found:
            return f"{found.group(1)} (wheels)"
    return "unknown"


def _versions() -> dict[str, str]:
    found = {"perception": __version__, "python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
