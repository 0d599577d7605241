"""What detectors on sparse voxels look like, as plain data: CenterPoint with a VoxelNet."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated, Literal

import pydantic
from typing_extensions import Self

from perception.bundle.detection import Count, MapDetectorSettings, Range
from perception.configuration import Settings
from perception.ops.kernel_maps import output_shape
from perception.ops.voxels import VoxelGrid

Edge = Annotated[int, pydantic.Field(ge=1, le=7)]
Step = Annotated[int, pydantic.Field(ge=1, le=8)]
Padding = Annotated[int, pydantic.Field(ge=0, le=6)]
PositiveFloat = Annotated[float, pydantic.Field(gt=0)]
#: x, y, z.
Shape = tuple[int, int, int]


class WindowSettings(Settings):
    """What an output of a strided sparse convolution reads, along x, y and z: inputs output * stride - padding + k.

    Attributes:
        size: k runs from 0 to less than this.
        stride: inputs from one output to the next.
        padding: inputs before the grid that the first output reads.
    """

    size: tuple[Edge, Edge, Edge] = (3, 3, 3)
    stride: tuple[Step, Step, Step] = (2, 2, 2)
    padding: tuple[Padding, Padding, Padding] = (1, 1, 1)

    def output_shape(self, shape: Shape) -> Shape:
        """The shape of the outputs' grid, given that of the inputs."""
        return output_shape(shape, self.size, self.stride, self.padding)


class VoxelNetSettings(MapDetectorSettings):
    """CenterPoint on sparse voxels; the defaults are those of the official nuScenes networks with 0.075 m voxels.

    Source: Yin et al., CVPR 2021; Zhou and Tuzel, VoxelNet, CVPR 2018; Yan et al., SECOND, Sensors 2018.

    Attributes:
        voxel_m: edges of a voxel along x, y, z.
        voxel_points: how many points of a voxel its mean is taken of, the first of each.
        voxels: more of them in a cloud are left out, by first occurrence. The official networks take 120,000 in
            training and 160,000 afterwards; here it is one number.
        channels: of the stages, each of so many residual blocks.
        blocks: residual blocks of each stage.
        steps: the convolutions between stages.
        output_step: the convolution after the last stage.
        output_channels: of that convolution; the map has as many for each layer of voxels that is left.
    """

    model: Literal["centerpoint"] = "centerpoint"
    range_m: Range = (-54.0, -54.0, -5.0, 54.0, 54.0, 3.0)
    voxel_m: tuple[PositiveFloat, PositiveFloat, PositiveFloat] = (0.075, 0.075, 0.2)
    voxel_points: int = pydantic.Field(default=10, ge=1, le=1000)
    voxels: int = pydantic.Field(default=160_000, ge=1, le=10_000_000)
    channels: tuple[Count, ...] = pydantic.Field(default=(16, 32, 64, 128), min_length=1)
    blocks: tuple[int, ...] = (2, 2, 2, 2)
    steps: tuple[WindowSettings, ...] = (WindowSettings(), WindowSettings(), WindowSettings(padding=(1, 1, 0)))
    output_step: WindowSettings = WindowSettings(size=(1, 1, 3), stride=(1, 1, 2), padding=(0, 0, 0))
    output_channels: Count = 128
    backbone_channels: tuple[Count, ...] = (128, 256)
    backbone_layers: tuple[int, ...] = (5, 5)
    neck_channels: tuple[Count, ...] = (256, 256)

    @pydantic.model_validator(mode="after")
    def _fits(self) -> Self:
        if not len(self.channels) == len(self.blocks) == len(self.steps) + 1:
            raise ValueError("channels and blocks must have one number for each stage, and steps one less")
        for shape in self.shapes():
            if min(shape) < 1:
                raise ValueError("steps leave nothing of the grid; take fewer, smaller voxels or more padding")
        if self.map_shape[:2] != self.grid_size[::-1]:
            raise ValueError(
                f"steps make a map of {self.map_shape[0]} x {self.map_shape[1]} cells, but range_m holds "
                f"{self.grid_size[1]} x {self.grid_size[0]} of {self.cell_m[0]:g} x {self.cell_m[1]:g} m"
            )
        return self

    @property
    def grid(self) -> VoxelGrid:
        """The voxels of the input."""
        return VoxelGrid(self.range_m[:3], self.range_m[3:], self.voxel_m)

    def shapes(self) -> Iterator[Shape]:
        """The grid of each stage, and that of the map; the official networks add a layer of voxels on top."""
        x, y, z = (
            round((high - low) / edge)
            for low, high, edge in zip(self.range_m[:3], self.range_m[3:], self.voxel_m, strict=True)
        )
        shape = (x, y, z + 1)
        yield shape
        for step in (*self.steps, self.output_step):
            shape = step.output_shape(shape)
            yield shape

    @property
    def map_shape(self) -> Shape:
        """Cells of the map along x and y, and layers that lie in its channels."""
        *_, shape = self.shapes()
        return shape

    @property
    def map_channels(self) -> int:
        """Channels of the map."""
        return self.output_channels * self.map_shape[2]

    @property
    def cell_m(self) -> tuple[float, float]:
        """Edges of a cell of the map: so many voxels as all strides together."""
        x, y = (math.prod(step.stride[axis] for step in (*self.steps, self.output_step)) for axis in (0, 1))
        return self.voxel_m[0] * x, self.voxel_m[1] * y
