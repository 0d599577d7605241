"""The launch arguments of evaluate.launch.py, and the command that they stand for."""

from __future__ import annotations

from collections.abc import Mapping

from perception.bringup.arguments import LaunchArgument

#: Launch argument -> option of `perception evaluate`.
OPTIONS = {
    "truth": "--truth",
    "rate": "--rate",
    "out": "--out",
    "limit": "--limit",
    "input/pointcloud": "--points-topic",
    "device": "--device",
    "config": "--config",
}

EVALUATE_ARGUMENTS: tuple[LaunchArgument, ...] = (
    LaunchArgument("bag", "rosbag2 folders or files, separated by commas"),
    LaunchArgument("models", "bundles, separated by commas: folders or names in config/models"),
    LaunchArgument("truth", "the truth, where it is in another bag; empty: in the same"),
    LaunchArgument("rate", "bag seconds a second; empty: 1"),
    LaunchArgument("out", "where the report, metrics.json and the frames' records go; empty: out/evaluation"),
    LaunchArgument("limit", "only the first so many frames of each bag; empty: all"),
    LaunchArgument("input/pointcloud", "topic of the clouds; empty: the only ones that are no truth"),
    LaunchArgument("device", "where networks run: cpu, cuda or cuda:N; empty: cpu"),
    LaunchArgument("config", "how this robot is deployed, but for models and input; empty: config/bringup.yaml"),
)
#: Those without which there is nothing to evaluate.
REQUIRED = ("bag", "models")


def evaluate_words(values: Mapping[str, str]) -> list[str]:
    """The words after `perception` that do what these launch arguments ask for."""
    words = ["evaluate", "--online"]
    for name, option in OPTIONS.items():
        words += [option, values[name]] if values[name] else []
    models, bags = ([word.strip() for word in values[name].split(",")] for name in ("models", "bag"))
    return [*words, "--models", *models, "--", *bags]
