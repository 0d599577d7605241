"""What detectors look like, as plain data."""

from __future__ import annotations

from typing import Annotated, Literal

import pydantic
from typing_extensions import Self

from perception.configuration import Settings
from perception.ops.pillars import PillarGrid

Count = Annotated[int, pydantic.Field(ge=1)]
Finite = Annotated[float, pydantic.Field(allow_inf_nan=False)]
#: Lowest x, y, z and highest x, y, z in metres.
Range = tuple[Finite, Finite, Finite, Finite, Finite, Finite]
#: Cells of a map along an edge, at most.
MOST_CELLS = 4096
#: What a centre head predicts for each cell, and in how many channels, in the order in which a graph's output "maps"
#: has them; the heat map follows, one channel a class.
HEAD_MAPS = {"reg": 2, "height": 1, "dim": 3, "rot": 2, "vel": 2, "iou": 1}


class MapDetectorSettings(Settings):
    """What detectors on a bird's-eye-view map share; encoders of points are the others' own.

    Attributes:
        range_m: lowest x, y, z and highest x, y, z of the map.
        point_channels: features of a point: x, y, z, intensity and, in several sweeps, the time lag.
        backbone_channels, backbone_layers: of each stage of the dense backbone; layers after the first convolution.
        neck_channels: that each stage becomes.
        head_channels: that the branches of the head share.
    """

    model: str
    range_m: Range
    point_channels: int = pydantic.Field(default=5, ge=3, le=64)
    backbone_channels: tuple[Count, ...]
    backbone_layers: tuple[int, ...]
    neck_channels: tuple[Count, ...]
    head_channels: Count = 64

    @pydantic.model_validator(mode="after")
    def _spans_a_map(self) -> Self:
        low, high = self.range_m[:3], self.range_m[3:]
        if any(first >= last for first, last in zip(low, high, strict=True)):
            raise ValueError(f"range_m must have lowest x, y, z, then highest x, y, z, found {list(self.range_m)}")
        edges = [(high[axis] - low[axis]) / self.cell_m[axis] for axis in (0, 1)]
        if not all(0.5 < cells < MOST_CELLS + 0.5 for cells in edges):
            raise ValueError(f"range_m must span 1 to {MOST_CELLS} cells, found {edges[0]:g} x {edges[1]:g}")
        return self

    @pydantic.model_validator(mode="after")
    def _one_of_each_a_stage(self) -> Self:
        if len({len(self.backbone_channels), len(self.backbone_layers), len(self.neck_channels)}) > 1:
            raise ValueError("backbone_channels, backbone_layers and neck_channels must have as many stages")
        return self

    @property
    def cell_m(self) -> tuple[float, float]:
        """Edges of a cell of the head's map along x and y."""
        raise NotImplementedError

    @property
    def grid_size(self) -> tuple[int, int]:
        """H, W of the map in cells: along y, along x."""
        low_x, low_y, _, high_x, high_y, _ = self.range_m
        return round((high_y - low_y) / self.cell_m[1]), round((high_x - low_x) / self.cell_m[0])


class FlatFormerSettings(MapDetectorSettings):
    """FlatFormer on pillars; the defaults are the official Waymo detector's.

    Attributes:
        pillar_m: edge of a pillar.
        point_layers: channels of the layers that describe pillars.
        blocks: of four layers each; with none this is PointPillars (Lang et al., CVPR 2019) with the same head.
        block: plain: every channel through group attention; lite: half of the channels and heads through group
            attention, the other half through a convolution along the walk (Wu et al., Lite Transformer, ICLR 2020).
        kernel_size: neighbours along the walk, itself included, that the convolution of a lite block reaches.
        channels, heads, hidden: of a layer: tokens, attention, feed-forward network.
        window: cells along the edge of a window.
        group_size: tokens of a group; 13 x 13 windows have groups of 144 in the official configuration, 9 x 9 windows
            groups of 69 in the paper.
        drop_first: leave out the first pillar of every cloud, as the official code does.
    """

    model: Literal["flatformer"] = "flatformer"
    range_m: Range = (-74.88, -74.88, -2.0, 74.88, 74.88, 4.0)
    pillar_m: float = pydantic.Field(default=0.32, gt=0)
    point_layers: tuple[Count, ...] = (64, 128)
    blocks: int = pydantic.Field(default=2, ge=0)
    block: Literal["plain", "lite"] = "plain"
    kernel_size: int = pydantic.Field(default=9, ge=1, le=31)
    channels: Count = 128
    heads: Count = 8
    hidden: Count = 256
    window: Count = 13
    group_size: int = pydantic.Field(default=144, ge=1, le=256)
    drop_first: bool = True
    position_temperature: float = 10000.0
    backbone_channels: tuple[Count, ...] = (64, 128)
    backbone_layers: tuple[int, ...] = (3, 3)
    neck_channels: tuple[Count, ...] = (128, 128)

    @pydantic.model_validator(mode="after")
    def _fits(self) -> Self:
        if self.point_layers[-1] != self.channels:
            raise ValueError(f"point_layers end with {self.point_layers[-1]} channels for tokens of {self.channels}")
        if self.channels % (4 * self.heads) or self.channels // self.heads > 32:
            raise ValueError(f"{self.channels} channels cannot be shared by {self.heads} heads of at most 32 channels")
        if self.block == "lite" and self.heads % 2:
            raise ValueError(f"lite blocks need an even number of heads, found {self.heads}")
        if self.kernel_size % 2 == 0:
            raise ValueError(f"kernel_size must be odd, found {self.kernel_size}")
        return self

    @property
    def attended_channels(self) -> int:
        """Channels that go through group attention; the others of a lite block go through its convolution."""
        return self.channels if self.block == "plain" else self.channels // 2

    @property
    def block_kernel_size(self) -> int | None:
        """The convolution of a lite block; None for plain ones."""
        return None if self.block == "plain" else self.kernel_size

    @property
    def cell_m(self) -> tuple[float, float]:
        """Edges of a cell of the map: a pillar's."""
        return self.pillar_m, self.pillar_m

    @property
    def grid(self) -> PillarGrid:
        """The pillars; points outside belong to the nearest, as in the official code."""
        low, high = self.range_m[:3], self.range_m[3:]
        size = (self.pillar_m, self.pillar_m, high[2] - low[2])
        return PillarGrid(low, size, *self.grid_size, clamp=True, drop_first=self.drop_first)


class SuppressionSettings(Settings):
    """How boxes of one class suppress each other.

    Attributes:
        iou: the largest overlap with a better box, seen from above.
        candidates: how many of the best take part.
        kept: how many may be kept.
    """

    iou: float = pydantic.Field(ge=0, le=1)
    candidates: Count = 1000
    kept: Count = 100


class CenterDecoding(Settings):
    """From the maps of a centre head to boxes; the defaults are FlatFormer's for cars, pedestrians and cyclists.

    Attributes:
        min_score: boxes score more than this.
        candidates: the best cells of all classes that are decoded.
        peak_window: 3: only cells that are the best of the 3 x 3 around them; 1: all.
        iou_power: scores are multiplied by this power of the overlap that the head expects of its box; 0: they are not.
        center_range_m: lowest x, y, z and highest x, y, z of centres.
        suppression: for each class.
    """

    min_score: float = pydantic.Field(default=0.1, ge=0, le=1)
    candidates: int = pydantic.Field(default=4096, ge=1, le=20_000)
    peak_window: Literal[1, 3] = 1
    iou_power: int = pydantic.Field(default=2, ge=0, le=8)
    center_range_m: Range = (-74.88, -74.88, -10, 74.88, 74.88, 10)
    suppression: tuple[SuppressionSettings, ...] = (
        SuppressionSettings(iou=0.8, candidates=2048, kept=300),
        SuppressionSettings(iou=0.55, candidates=1024, kept=100),
        SuppressionSettings(iou=0.55, candidates=1024, kept=100),
    )
