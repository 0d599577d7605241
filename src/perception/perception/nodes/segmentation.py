"""The segmentation node: a class for every point of every cloud.

In: `~/input/pointcloud`. Out: `~/output/pointcloud/{segmentation,visualization,filtered}`, `~/label_info`,
`~/debug/*`, /diagnostics. Service: `~/load_bundle`.
"""

from __future__ import annotations

import sys
from typing import Any

from perception.nodes.cloud_node import CloudNode
from perception.nodes.engine_slot import EngineStarter
from perception.nodes.executables import run_nodes
from perception.nodes.segmentation_outputs import SegmentationOutputs
from perception.ros.parameter_tables import SEGMENTATION
from perception.runtime import start_engine


class SegmentationNode(CloudNode):
    """Labels clouds with the bundle's network.

    Args:
        name: the node's name.
        start: `start_engine`, or a stand-in for tests.
        arguments: passed on to LifecycleNode.
    """

    TASK = "segmentation"

    def __init__(self, name: str = "segmentation", start: EngineStarter = start_engine, **arguments: Any) -> None:
        super().__init__(name, SEGMENTATION, start, **arguments)

    def create_outputs(self) -> SegmentationOutputs:
        """Create the publishers of the labelled, the coloured and the filtered cloud."""
        return SegmentationOutputs(self, self.parameters)


def main() -> None:
    """Run the node in a process of its own."""
    sys.exit(run_nodes([SegmentationNode]))


if __name__ == "__main__":
    main()
