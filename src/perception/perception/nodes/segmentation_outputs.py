"""The results of the segmentation node as clouds."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from rclpy.lifecycle import LifecycleNode
from sensor_msgs.msg import PointCloud2

from perception.bundle.format import CommonDescription
from perception.data.point_clouds import DecodedCloud
from perception.nodes.cloud_outputs import CloudOutputs
from perception.nodes.palettes import colors_of
from perception.ros.cloud_encoding import encode_filtered, encode_segmentation, encode_visualization
from perception.ros.parameters import NodeParameters
from perception.types import LabelledCloud

CLOUDS = ("segmentation", "visualization", "filtered")


class SegmentationOutputs(CloudOutputs):
    """The labelled, the coloured and the filtered cloud.

    Args:
        node: the node whose publishers they are.
        parameters: its parameters; palette and filter are read for every frame.
    """

    def __init__(self, node: LifecycleNode, parameters: NodeParameters) -> None:
        super().__init__(node, {name: (PointCloud2, f"~/output/pointcloud/{name}") for name in CLOUDS})
        self._parameters = parameters

    def encode(
        self, message: PointCloud2, decoded: DecodedCloud, result: LabelledCloud, bundle: CommonDescription
    ) -> dict[str, PointCloud2]:
        """Make the wanted ones of CLOUDS, each with a row for every point of the message (the filtered one apart)."""
        spread = decoded.spread(result)
        return {name: self._encode(name, message, decoded, spread, bundle) for name in self.wanted()}

    def _encode(
        self, name: str, message: PointCloud2, decoded: DecodedCloud, result: LabelledCloud, bundle: CommonDescription
    ) -> PointCloud2:
        height = max(decoded.layout.height, 1)
        if name == "segmentation":
            columns = (decoded.coordinates, result.class_ids, result.probabilities)
            return encode_segmentation(message.header, *columns, height=height)
        if name == "visualization":
            colors = colors_of(result, self._parameters["palette"], bundle.colors)
            return encode_visualization(message.header, decoded.coordinates, colors, height=height)
        return encode_filtered(message, decoded.layout, self._kept(result, bundle))

    def _kept(self, result: LabelledCloud, bundle: CommonDescription) -> NDArray[Any]:
        is_filtered = np.zeros(256, bool)
        for name in self._parameters.names("filtered_classes"):
            if name in bundle.classes:
                is_filtered[bundle.classes.index(name)] = True
        sure = result.probabilities >= self._parameters["filter_min_probability"]
        return ~(is_filtered[result.class_ids] & sure)
