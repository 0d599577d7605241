"""The launch arguments, the same for bringup.launch.py and `perception bringup`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from perception.configuration import ConfigurationError

FROM_FILE = "as in the config file"
BOOLEANS = ("true", "false")


@dataclass(frozen=True)
class LaunchArgument:
    """One launch argument; an empty default leaves the choice to the config file."""

    name: str
    description: str
    default: str = ""
    choices: tuple[str, ...] = ()


ARGUMENTS: tuple[LaunchArgument, ...] = (
    LaunchArgument("config", "how this robot is deployed; empty: share/perception/config/bringup.yaml"),
    LaunchArgument("models", f"bundles, separated by commas: folders or names in config/models; empty: {FROM_FILE}"),
    LaunchArgument("input/pointcloud", f"topic of the LiDAR; empty: {FROM_FILE}"),
    LaunchArgument("device", f"where networks run: cpu, cuda or cuda:N; empty: {FROM_FILE}"),
    LaunchArgument("composed", f"all nodes in one process; empty: {FROM_FILE}", choices=("", *BOOLEANS)),
    LaunchArgument(
        "use_sim_time", f"take the time from /clock; empty: {FROM_FILE}, true with a bag", choices=("", *BOOLEANS)
    ),
    LaunchArgument("log_level", f"debug, info, warn, error or fatal; empty: {FROM_FILE}"),
    LaunchArgument("bag", "replay this bag along, and end with it; empty: none"),
    LaunchArgument("rviz", "start RViz, showing the results", "false", BOOLEANS),
    LaunchArgument("build_only", "build and try what every network needs on its device, then exit", "false", BOOLEANS),
)


def parse_arguments(words: Iterable[str]) -> dict[str, str]:
    """Read `name:=value` words; arguments that are not given have their defaults.

    Raises:
        ConfigurationError: a word of another form, an unknown name, or a value that is not among the choices.
    """
    known = {argument.name: argument for argument in ARGUMENTS}
    values = {argument.name: argument.default for argument in ARGUMENTS}
    for word in words:
        name, separator, value = word.partition(":=")
        if not separator:
            raise ConfigurationError(f"'{word}': expected name:=value (perception bringup --show-args lists the names)")
        if name not in known:
            raise ConfigurationError(f"unknown argument '{name}' (known: {', '.join(known)})")
        choices = known[name].choices
        if choices and value not in choices:
            raise ConfigurationError(f"{name}:={value}: expected {' or '.join(filter(None, choices))}")
        values[name] = value
    return values


def arguments_text() -> str:
    """All arguments, as `ros2 launch --show-args` prints them."""
    lines = ["Arguments (pass arguments as '<name>:=<value>'):"]
    for argument in ARGUMENTS:
        choices = f" Valid choices are: {list(filter(None, argument.choices))}" if argument.choices else ""
        lines += ["", f"    '{argument.name}':", f"        {argument.description}.{choices}"]
        lines.append(f"        (default: '{argument.default}')")
    return "\n".join(lines)
