"""CenterPoint as the operations of a bundle's graph; its dense part is one region.

A batch norm becomes part of the convolution before it, as do ReLU and the sum at the end of a residual block.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from perception.bundle.graph import Operation
from perception.bundle.voxelnet import Shape, VoxelNetSettings, WindowSettings
from perception.export.lowering import LoweredNetwork
from perception.export.map_detector import with_dense_part
from perception.export.writing import operation
from perception.models.centerpoint import CenterPoint
from perception.nn.voxelnet import NORM_EPS

AXES = ("x", "y", "z")
PREFIX = "middle_encoder."


def lower_centerpoint(detector: CenterPoint) -> LoweredNetwork:
    """Express a detector in operations of the executor; see `perception.export.map_detector.with_dense_part`."""
    writer = _Writer(detector.settings)
    encoder = [*writer.tables(), *writer.encoder(), writer.bev()]
    return with_dense_part(detector, detector.settings.map_channels, encoder, writer.twins)


class _Writer:
    """Writes the operations before the dense part; level 0 holds the input voxels, the last one those of the map.

    Attributes:
        twins: value -> the module that gives the same in PyTorch.
    """

    def __init__(self, settings: VoxelNetSettings) -> None:
        self._settings = settings
        self._shapes = list(settings.shapes())
        self._features = "voxels"
        self.twins: dict[str, str] = {}

    def tables(self) -> Iterator[Operation]:
        """Voxels, and for every stage its neighbours and the windows of the next one."""
        settings = self._settings
        attributes: dict[str, Any] = {"voxel_points": settings.voxel_points, "most_voxels": settings.voxels}
        places = {"low": settings.range_m[:3], "high": settings.range_m[3:], "edge": settings.voxel_m}
        for name, values in places.items():
            attributes |= {f"{name}_{axis}_m": float(value) for axis, value in zip(AXES, values, strict=True)}
        outputs = {"coords": "coords_0", "features": "voxels"}
        yield operation("voxelize", "voxels", {"points": "points"}, outputs, attributes | {"rows": _rows(0)})
        for level, step in enumerate((*settings.steps, settings.output_step)):
            given = {"coords": f"coords_{level}"}
            yield operation("submanifold_table", f"neighbours_{level}", given, {"table": f"neighbours_{level}"}, {})
            made = {"coords": f"coords_{level + 1}", "table": f"windows_{level}"}
            window = _window(step, self._shapes[level]) | {"rows": _rows(level + 1)}
            yield operation("window_table", f"windows_{level}", given, made, window)

    def encoder(self) -> Iterator[Operation]:
        """The convolutions, under the names of their weights."""
        settings = self._settings
        yield self._convolution(f"{PREFIX}conv_input", "neighbours_0")
        for level, count in enumerate(settings.blocks):
            stage = f"{PREFIX}encoder_layers.encoder_layer{level + 1}"
            for block in range(count):
                yield from self._block(f"{stage}.{block}", f"neighbours_{level}")
            if level < len(settings.steps):
                yield self._convolution(f"{stage}.{count}", f"windows_{level}")
        yield self._convolution(f"{PREFIX}conv_out", f"windows_{len(settings.steps)}")

    def bev(self) -> Operation:
        """The map."""
        where = {"features": self._features, "coords": f"coords_{len(self._shapes) - 1}"}
        shape = {"shape": _axes(self._shapes[-1])}
        return operation("voxels_to_map", "bev", where, {"map": "map"}, shape, "bev")

    def _block(self, name: str, table: str) -> Iterator[Operation]:
        entering = self._features
        for part, more in (("1", {}), ("2", {"residual": entering})):
            yield self._layer(f"{name}.conv{part}", f"{name}.bn{part}", table, more)
        self.twins[self._features] = name

    def _convolution(self, name: str, table: str) -> Operation:
        self.twins[f"{name}.0"] = name
        return self._layer(f"{name}.0", f"{name}.1", table, {})

    def _layer(self, name: str, norm: str, table: str, more: dict[str, str]) -> Operation:
        inputs = {"features": self._features, "table": table, **more}
        self._features = name
        stage = name.removeprefix(PREFIX).removeprefix("encoder_layers.").partition(".")[0]
        attributes = {"relu": True, "norm_epsilon": NORM_EPS}
        convolution = operation("sparse_convolution", name, inputs, {"features": name}, attributes, stage)
        return convolution.model_copy(update={"weights": {"kernel": f"{name}.weight", "norm": norm}})


def _rows(level: int) -> str:
    """The name of a level's number of voxels."""
    return f"voxels/{2**level}"


def _window(step: WindowSettings, shape: Shape) -> dict[str, Any]:
    parts = {"size": step.size, "stride": step.stride, "padding": step.padding, "shape": shape}
    return {name: _axes(values) for name, values in parts.items()}


def _axes(values: Shape) -> dict[str, int]:
    return dict(zip(AXES, values, strict=True))
