"""The one description of what bring-up starts; bringup.launch.py and `perception bringup` are both made from it."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from perception.bringup.bundles import TaskBundle, find_bundles, named_bundles
from perception.bringup.settings import BringupSettings, load_bringup_settings
from perception.configuration import ConfigurationError
from perception.paths import share_folder

PACKAGE = "perception"
NAMESPACE = "/perception"


@dataclass(frozen=True)
class NodeDescription:
    """One node.

    Attributes:
        name: the node's name in the graph.
        kind: the executable that runs it alone, and its name for the container.
        parameters: ROS parameters.
        remappings: name inside the node -> name in the graph.
    """

    name: str
    kind: str
    parameters: dict[str, Any]
    remappings: dict[str, str]
    namespace: str = NAMESPACE


@dataclass(frozen=True)
class ProcessDescription:
    """One process.

    Attributes:
        name: what log lines and /diagnostics call it.
        executable: as in `ros2 run <package> <executable>`; empty for a plain Python module.
        module: the Python module behind it; empty for other packages' programs.
        arguments: words before `--ros-args`.
        nodes: the nodes of the stack that run in it.
        ends_bringup: when it exits, everything stops, with its exit code; otherwise it is restarted.
    """

    name: str
    executable: str = ""
    module: str = ""
    package: str = PACKAGE
    arguments: tuple[str, ...] = ()
    nodes: tuple[NodeDescription, ...] = ()
    ends_bringup: bool = False

    @property
    def node_name(self) -> str | None:
        """What `__node` is set to; None where several nodes live in one process and keep their own names."""
        return self.nodes[0].name if self.nodes and self.executable != "container" else None

    @property
    def namespace(self) -> str | None:
        """What `__ns` is set to."""
        return self.nodes[0].namespace if self.nodes else None

    @property
    def remappings(self) -> list[tuple[str, str]]:
        """Remapping rules; each holds only for the node it names."""
        return [(f"{node.name}:{old}", new) for node in self.nodes for old, new in node.remappings.items()]


@dataclass(frozen=True)
class BringupDescription:
    """Everything that bring-up starts, in the order of starting."""

    processes: tuple[ProcessDescription, ...]
    log_level: str = "info"
    nodes: tuple[NodeDescription, ...] = field(default=())

    def parameters_yaml(self) -> str:
        """The parameters of all nodes, as a ROS 2 parameter file."""
        return yaml.safe_dump(
            {f"{node.namespace}/{node.name}": {"ros__parameters": node.parameters} for node in self.nodes},
            sort_keys=False,
        )


def describe(arguments: Mapping[str, str]) -> BringupDescription:
    """Say what the launch arguments (all of them, see `parse_arguments`) and the config file ask for.

    Raises:
        ConfigurationError: one line that says what to mend; nothing has been started.
    """
    settings, file = load_bringup_settings(arguments)
    bundles = find_bundles(settings.models, file)
    nodes = tuple(_node(name, bundle, settings) for name, bundle in named_bundles(bundles).items())
    if arguments["build_only"] == "true":
        return BringupDescription(_built(nodes), settings.log_level, nodes)
    processes = _composed(nodes) if settings.composed else _apart(nodes)
    if arguments["rviz"] == "true":
        processes += (_rviz(),)
    if arguments["bag"]:
        processes += (_bag(Path(arguments["bag"]).expanduser(), settings.input.pointcloud, len(nodes)),)
    return BringupDescription(processes, settings.log_level, nodes)


def _node(name: str, bundle: TaskBundle, settings: BringupSettings) -> NodeDescription:
    parameters = {
        **settings.nodes.get(bundle.task, {}),
        "bundle": str(bundle.folder),
        "device": settings.device,
        "autostart": True,
        "use_sim_time": settings.use_sim_time,
    }
    return NodeDescription(name, bundle.task, parameters, {"~/input/pointcloud": settings.input.pointcloud})


def _composed(nodes: tuple[NodeDescription, ...]) -> tuple[ProcessDescription, ...]:
    words = (node.kind if node.name == node.kind else f"{node.kind}:{node.name}" for node in nodes)
    arguments = ("--nodes", ",".join(words))
    container = ProcessDescription(
        "container", "container", f"{PACKAGE}.nodes.container", arguments=arguments, nodes=nodes
    )
    return (container,)


def _built(nodes: tuple[NodeDescription, ...]) -> tuple[ProcessDescription, ...]:
    """The nodes as they would run, which build and try what their networks need, and end."""
    (container,) = _composed(nodes)
    return (replace(container, name="build", arguments=(*container.arguments, "--build-only"), ends_bringup=True),)


def _apart(nodes: tuple[NodeDescription, ...]) -> tuple[ProcessDescription, ...]:
    return tuple(
        ProcessDescription(node.name, node.kind, f"{PACKAGE}.nodes.{node.kind}", nodes=(node,)) for node in nodes
    )


def _bag(bag: Path, pointcloud: str, subscribers: int) -> ProcessDescription:
    # Imported here: a robot that replays nothing needs no bag library.
    from perception.ros.bag_selection import SelectedBag, Selection

    with SelectedBag(bag, Selection(topics=(pointcloud,))):
        arguments = (str(bag.resolve()), "--wait-for-subscribers", *[pointcloud] * subscribers)
    return ProcessDescription("replay", "replay", f"{PACKAGE}.nodes.replay", arguments=arguments, ends_bringup=True)


def _rviz() -> ProcessDescription:
    if shutil.which("rviz2") is None:
        raise ConfigurationError("rviz:=true: rviz2 is not installed here (package ros-<distribution>-rviz2)")
    layout = share_folder() / "config" / "rviz" / "bringup.rviz"
    return ProcessDescription("rviz", "rviz2", package="rviz2", arguments=("-d", str(layout)))
