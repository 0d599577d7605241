"""What the graphs of all detectors have in common: an encoder makes a map of points, and one region does the rest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from perception.bundle.detection import HEAD_MAPS
from perception.bundle.graph import Graph, Operation, Spec
from perception.export.lowering import LoweredNetwork, lower
from perception.export.tracing import trace
from perception.models.detector import MapDetector

#: What the head's maps are in the order of the channels of the output "maps": the regression, then the heat map.
MAPS = (*HEAD_MAPS, "heatmap")
#: What the record of a detector calls its bird's-eye-view map and its result.
BEV, RESULT = "bev", "maps"
#: The value that encoders end with, and the stage that the dense part is.
MAP, DENSE_STAGE = "map", "dense"


class DensePart(nn.Module):
    """Backbone, neck and head of a detector; the head's maps side by side.

    Args:
        detector: whose.
    """

    def __init__(self, detector: MapDetector) -> None:
        super().__init__()
        self.backbone, self.neck, self.bbox_head = detector.backbone, detector.neck, detector.bbox_head

    def forward(self, bev: Tensor) -> Tensor:
        """Compute float [B, channels, H, W] from [B, C, H, W]."""
        maps = self.bbox_head(self.neck(self.backbone(bev)))
        return torch.cat([maps[name] for name in MAPS], 1)


def with_dense_part(
    detector: MapDetector, channels: int, encoder: Iterable[Operation], twins: Mapping[str, str]
) -> LoweredNetwork:
    """Complete a detector's graph.

    Args:
        detector: whose dense part follows.
        channels: of the map.
        encoder: operations that make the value `MAP` of "points".
        twins: value -> the module that gives the same in PyTorch.

    Returns:
        A graph from "points" float32 ["points", C] to "maps" float32 [1, channels of all MAPS, H, W]; twins are names
        of modules, `BEV` and `RESULT`.

    Raises:
        ConfigurationError: a dense layer that no region can hold.
    """
    settings = detector.settings
    shape = (1, channels, *settings.grid_size)
    dense = lower(trace(DensePart(detector).eval()), {MAP: Spec(dtype="float32", shape=shape)})
    (region,) = (one.model_copy(update={"stage": DENSE_STAGE}) for one in dense.graph.operations)
    points, maps = Spec(dtype="float32", shape=("points", settings.point_channels)), dense.graph.outputs["scores"]
    graph = Graph(inputs={"points": points}, outputs={"maps": maps}, operations=(*encoder, region))
    return LoweredNetwork(graph, dense.regions, {**twins, MAP: BEV, maps: RESULT})
