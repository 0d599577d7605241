"""Several nodes in one process: one interpreter, one GPU context, no copies between processes."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from functools import partial

from rclpy.utilities import remove_ros_args

from perception.nodes.detection import DetectionNode
from perception.nodes.executables import run_nodes
from perception.nodes.segmentation import SegmentationNode
from perception.ros.node_base import ManagedNode

NODES: dict[str, Callable[..., ManagedNode]] = {"detection": DetectionNode, "segmentation": SegmentationNode}


def factories(specification: str) -> list[Callable[[], ManagedNode]]:
    """Parse `--nodes`: kinds separated by commas, each `kind` or `kind:name`.

    Raises:
        argparse.ArgumentTypeError: an unknown kind, or a name that is used twice.
    """
    found: dict[str, Callable[[], ManagedNode]] = {}
    for word in filter(None, specification.split(",")):
        kind, _, name = word.partition(":")
        name = name or kind
        if kind not in NODES:
            raise argparse.ArgumentTypeError(f"no node '{kind}' (known: {', '.join(sorted(NODES))})")
        if name in found:
            raise argparse.ArgumentTypeError(f"two nodes named '{name}'; write kind:name")
        found[name] = partial(NODES[kind], name)
    if not found:
        raise argparse.ArgumentTypeError("names no node")
    return list(found.values())


def main() -> None:
    """Run the nodes that the command line names."""
    parser = argparse.ArgumentParser(prog="container", description="Run several nodes in one process.")
    parser.add_argument("--nodes", type=factories, required=True, metavar="KIND[:NAME],...", help=", ".join(NODES))
    parser.add_argument(
        "--build-only", action="store_true", help="build and try what their networks need, then exit with 0 or 2"
    )
    arguments = parser.parse_args(remove_ros_args(sys.argv)[1:])
    sys.exit(run_nodes(arguments.nodes, build_only=arguments.build_only))


if __name__ == "__main__":
    main()
