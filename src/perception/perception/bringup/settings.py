"""What config/bringup.yaml may say, with the launch arguments laid over it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import pydantic

from perception.bringup.node_parameters import check_node_parameters
from perception.configuration import Settings, load_yaml, parse_settings
from perception.paths import share_folder

Topic = Annotated[str, pydantic.Field(pattern=r"^/[A-Za-z_][A-Za-z0-9_]*(/[A-Za-z_][A-Za-z0-9_]*)*$")]

#: The number is that of a GPU.
Device = Annotated[str, pydantic.Field(pattern=r"^(cpu|cuda(:[0-9]{1,3})?)$")]


class Inputs(Settings):
    """Absolute names of the sensors' topics."""

    pointcloud: Topic = "/points"


class BringupSettings(Settings):
    """Everything in bringup.yaml; see the comments there."""

    models: tuple[str, ...] = pydantic.Field(min_length=1)
    device: Device = "cpu"
    composed: bool = True
    use_sim_time: bool = False
    log_level: Literal["debug", "info", "warn", "error", "fatal"] = "info"
    input: Inputs = Inputs()
    #: node -> parameter -> value
    nodes: dict[str, dict[str, Any]] = pydantic.Field(default_factory=dict)


def load_bringup_settings(arguments: Mapping[str, str]) -> tuple[BringupSettings, Path]:
    """Read the config file that the arguments name, and let the other arguments override it.

    Returns:
        The settings, and the file they came from.

    Raises:
        ConfigurationError: names the file or argument, the key, and what was expected.
    """
    file = Path(arguments["config"] or share_folder() / "config" / "bringup.yaml").expanduser()
    settings = parse_settings(BringupSettings, load_yaml(file), file)
    nodes = {node: check_node_parameters(node, parameters, file) for node, parameters in settings.nodes.items()}
    values = settings.model_dump() | {"nodes": nodes} | _overrides(arguments)
    # The file alone was right, so what is wrong now was given as an argument.
    return parse_settings(BringupSettings, values, "launch arguments"), file


def _overrides(arguments: Mapping[str, str]) -> dict[str, Any]:
    given: dict[str, Any] = {
        name: arguments[name] for name in ("device", "composed", "use_sim_time", "log_level") if arguments[name]
    }
    if arguments["models"]:
        given["models"] = tuple(name.strip() for name in arguments["models"].split(","))
    if arguments["input/pointcloud"]:
        given["input"] = {"pointcloud": arguments["input/pointcloud"]}
    if arguments["bag"] and not arguments["use_sim_time"]:
        given["use_sim_time"] = True
    return given
