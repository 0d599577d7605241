"""The detection node: the objects in every cloud as oriented boxes.

In: `~/input/pointcloud`, and /tf where the network takes several sweeps or objects are wanted in another frame. Out:
`~/output/objects`, `~/output/velocities`, `~/output/markers`, `~/label_info`, `~/debug/*`, /diagnostics. Service:
`~/load_bundle`.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import TimeJump
from rclpy.parameter import Parameter
from sensor_msgs.msg import PointCloud2

from perception.bundle.deployment_checks import check_features
from perception.bundle.format import CommonDescription, DetectionDescription
from perception.configuration import ConfigurationError
from perception.data.point_clouds import DecodedCloud
from perception.data.point_features import with_fields
from perception.data.sweep_history import Points, Sweep, SweepHistory, merge_into
from perception.nodes.cloud_node import CloudNode
from perception.nodes.detection_outputs import DetectionOutputs
from perception.nodes.engine_slot import EngineStarter
from perception.nodes.executables import run_nodes
from perception.nodes.node_transforms import NodeTransforms
from perception.ros.class_scores import unknown_classes
from perception.ros.parameter_tables import DETECTION
from perception.runtime import StageTimer, start_engine
from perception.types import Frame, PointCloud

#: Parameters that name classes.
CLASS_PARAMETERS = ("classes", "class_min_scores")


class DetectionNode(CloudNode):
    """Finds objects with the bundle's network.

    Args:
        name: the node's name.
        start: `start_engine`, or a stand-in for tests.
        arguments: passed on to LifecycleNode.
    """

    TASK = "detection"

    def __init__(self, name: str = "detection", start: EngineStarter = start_engine, **arguments: Any) -> None:
        super().__init__(name, DETECTION, start, **arguments)
        self._transforms = NodeTransforms(self)
        self._sweeps: SweepHistory[Points] = SweepHistory(self._transforms.find, self._transforms.clear)
        self.add_on_set_parameters_callback(self._check_classes)

    # --- life cycle

    def create_outputs(self) -> DetectionOutputs:
        """Create the publishers of objects and markers."""
        return DetectionOutputs(self, self._transforms.find)

    def cleanup(self) -> None:
        """Stop the worker, leave the topics, free the network."""
        super().cleanup()
        self._sweeps.clear()
        self._transforms.close()

    def accept(self, description: CommonDescription) -> None:
        """Raise ConfigurationError unless clouds can have its features, and it has the classes that are named."""
        assert isinstance(description, DetectionDescription)
        check_features(description)
        problem = self._problem_with_classes({name: self.parameters[name] for name in CLASS_PARAMETERS}, description)
        if problem:
            raise ConfigurationError(f"{problem}; change that parameter first")
        self._sweeps.clear()  # their points may have other features
        if description.sweeps > 1:
            self._transforms.listen()

    def _check_classes(self, parameters: list[Parameter]) -> SetParametersResult:
        """Refuse names that the network does not have; before one is loaded, any name may be meant."""
        description = self._engine.description
        values = {one.name: one.value for one in parameters if one.name in CLASS_PARAMETERS}
        problem = self._problem_with_classes(values, description) if description is not None else ""
        return SetParametersResult(successful=not problem, reason=problem)

    @staticmethod
    def _problem_with_classes(values: Mapping[str, Sequence[str]], description: CommonDescription) -> str:
        for name, texts in values.items():
            unknown = unknown_classes(texts, description.classes)
            if unknown:
                known = ", ".join(description.classes)
                return f"{name}: '{description.name}' has no class '{unknown[0]}' (it has: {known})"
        return ""

    # --- frames

    def prepare(
        self, message: PointCloud2, decoded: DecodedCloud, description: CommonDescription, timer: StageTimer
    ) -> Frame:
        """Give points the features that the network takes, and put past sweeps beside them."""
        assert isinstance(description, DetectionDescription)
        frame = super().prepare(message, decoded, description, timer)
        points = with_fields(message, decoded, description.further_fields)
        if description.sweeps > 1:
            with timer.stage("sweeps"):
                points = self._merged(Sweep(points, frame.stamp_ns, frame.frame_id), description.sweeps)
        return replace(frame, cloud=PointCloud(points))

    def _merged(self, newest: Sweep[Points], count: int) -> NDArray[np.float32]:
        parameters = self.parameters
        merged = merge_into(self._sweeps, newest, count, parameters["max_sweep_age_s"], parameters["fixed_frame"])
        self.statistics.add("sweeps", merged.used)
        self.statistics.add("sweeps.no_transform", merged.without_transform)
        if merged.without_transform:
            self.warn("no_transform", f"left out {merged.without_transform} past sweeps: {merged.problem}")
        return merged.points

    def on_time_jump(self, jump: TimeJump) -> None:
        """Forget what was measured before the clock went back: to the new time, it is the future."""
        super().on_time_jump(jump)
        self._sweeps.clear()
        self._transforms.clear()


def main() -> None:
    """Run the node in a process of its own."""
    sys.exit(run_nodes([DetectionNode]))


if __name__ == "__main__":
    main()
