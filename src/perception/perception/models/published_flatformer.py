"""What a published FlatFormer checkpoint tells of its network: all but what no shape shows, which is the official's."""

from __future__ import annotations

from collections.abc import Mapping

import pydantic

from perception.bundle.definitions.pillars import PLACE_CHANNELS
from perception.bundle.detection import FlatFormerSettings

#: An output for each class.
HEATMAP = "bbox_head.task_heads.0.heatmap.1.bias"
OFFICIAL_CLASSES = 3

Shapes = Mapping[str, tuple[int, ...]]


def infer_flatformer(shapes: Shapes) -> FlatFormerSettings:
    """Read channels and depths off the shapes of a checkpoint's tensors.

    Heads, windows, groups, range and pillars leave no trace there: they are those of the official Waymo detector, as
    is everything where no such network can be.
    """
    layers = _sizes(shapes, "voxel_encoder.vfe_layers.{}.linear.weight", 0)
    stages = _sizes(shapes, "backbone.blocks.{}.0.0.weight", 0)
    lengths = [len(_sizes(shapes, f"backbone.blocks.{stage}.{{}}.0.weight", 0)) for stage in range(len(stages))]
    official = FlatFormerSettings()
    point_channels = official.point_channels + PLACE_CHANNELS
    values = {
        "point_channels": _size(shapes, "voxel_encoder.vfe_layers.0.linear.weight", 1, point_channels) - PLACE_CHANNELS,
        "point_layers": layers or official.point_layers,
        "blocks": len(_sizes(shapes, "middle_encoder.block_list.{}.block.0.fc1.weight", 0)),
        "channels": layers[-1] if layers else official.channels,
        "hidden": _size(shapes, "middle_encoder.block_list.0.block.0.fc1.weight", 0, official.hidden),
        "backbone_channels": stages or official.backbone_channels,
        "backbone_layers": [length - 1 for length in lengths] or official.backbone_layers,
        "neck_channels": _sizes(shapes, "neck.deblocks.{}.0.weight", 1) or official.neck_channels,
        "head_channels": _size(shapes, "bbox_head.shared_conv.conv.weight", 0, official.head_channels),
    }
    try:
        return FlatFormerSettings.model_validate(values)
    except pydantic.ValidationError:
        return official


def _sizes(shapes: Shapes, pattern: str, axis: int) -> list[int]:
    """An axis of the matrices of that name with the numbers 0, 1, ..."""
    sizes: list[int] = []
    while size := _size(shapes, pattern.format(len(sizes)), axis, 0):
        sizes.append(size)
    return sizes


def _size(shapes: Shapes, name: str, axis: int, otherwise: int) -> int:
    shape = shapes.get(name, ())
    return shape[axis] if len(shape) > 1 else otherwise
