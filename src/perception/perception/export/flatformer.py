"""FlatFormer as the operations of a bundle's graph; its dense part is one region.

The layers of its transformer are written down here rather than traced: they use parts of weights, and sums that are
computed once a pillar instead of once a point, which a record of PyTorch's functions would hide.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from perception.bundle.definitions.pillars import PLACE_CHANNELS
from perception.bundle.detection import FlatFormerSettings
from perception.bundle.graph import Operation
from perception.export.flat_attention import attention_operations
from perception.export.lowering import LoweredNetwork
from perception.export.map_detector import with_dense_part
from perception.export.writing import layer, operation
from perception.models.flatformer import FlatFormer
from perception.nn.bev import NORM_EPS
from perception.nn.flat_attention import WALKS


def lower_flatformer(detector: FlatFormer) -> LoweredNetwork:
    """Express a detector in operations of the executor; see `perception.export.map_detector.with_dense_part`."""
    writer = _Writer(detector.settings)
    encoder = [*writer.tables(), *writer.pillars(), *writer.transformer(), writer.bev()]
    return with_dense_part(detector, detector.settings.channels, encoder, writer.twins)


class _Writer:
    """Writes the operations before the dense part.

    Attributes:
        twins: value -> the module that gives the same in PyTorch.
    """

    def __init__(self, settings: FlatFormerSettings) -> None:
        self._settings = settings
        height, width = settings.grid_size
        self._map: dict[str, Any] = {"height": height, "width": width}
        low, top = settings.range_m[:3], settings.range_m[5]
        self._grid: dict[str, Any] = self._map | {
            "low_x_m": float(low[0]),
            "low_y_m": float(low[1]),
            "low_z_m": float(low[2]),
            "edge_m": settings.pillar_m,
            "height_m": float(top - low[2]),
            "clamp": True,
            "drop_first": settings.drop_first,
        }
        self._features = ""
        self.twins: dict[str, str] = {}

    def tables(self) -> Iterator[Operation]:
        """Pillars, the walks through windows, and groups."""
        names = {"rows": "pillars", "returns": "returns", "bounds": "bounds"}
        outputs = {role: role for role in ("coords", "order", "begins", "pillar")}
        yield operation("find_pillars", "pillars", {"points": "points"}, outputs, self._grid | names)
        if not self._settings.blocks:
            return
        for number, (axis, shifted) in enumerate(WALKS):
            walk = {"window": self._settings.window, "axis": axis, "shifted": shifted}
            made = {"order": f"walk_{number}"}
            yield operation("window_order", f"walk_{number}", {"coords": "coords"}, made, self._map | walk)
        attributes = {"group_size": self._settings.group_size, "slots": "slots"}
        groups = {role: role for role in ("flat2win", "win2flat")}
        yield operation("group_tokens", "groups", {"coords": "coords"}, groups, attributes)

    def pillars(self) -> Iterator[Operation]:
        """The layers on points, each with a maximum over pillars."""
        where = {role: role for role in ("points", "coords", "order", "begins", "pillar")}
        yield operation("pillar_features", "point_features", where, "points_0", self._grid, "pillars")
        channels = self._settings.point_channels + PLACE_CHANNELS
        for number, width in enumerate(self._settings.point_layers):
            name = f"voxel_encoder.vfe_layers.{number}"
            weights = {"weight": f"{name}.linear.weight", "norm": f"{name}.norm"}
            own, made = {"features": f"points_{number}"}, f"points_{number + 1}"
            attributes: dict[str, Any] = {"norm_epsilon": NORM_EPS, "relu": True}
            if number:
                # The half that sees the pillar is computed once a pillar; each point adds it.
                half = {"norm_epsilon": NORM_EPS, "first_column": channels}
                given = {"features": f"pillars_{number}"}
                yield layer(f"{name}.pillar", given, f"shared_{number}", weights, half, "pillars")
                own |= {"residual": f"shared_{number}", "residual_rows": "pillar"}
                attributes["norm_shift"] = False
            yield layer(f"{name}.point", own, made, weights, attributes, "pillars")
            self._features = f"pillars_{number + 1}"
            reduced = {"features": made, "begins": "begins", "coords": "coords"}
            yield operation("segment_max", f"{name}.max", reduced, self._features, {}, "pillars")
            channels = width
        self.twins[self._features] = "voxel_encoder"

    def transformer(self) -> Iterator[Operation]:
        """The blocks, a layer for each walk."""
        for block in range(self._settings.blocks):
            for number in range(len(WALKS)):
                yield from self._transformer_layer(f"middle_encoder.block_list.{block}.block.{number}", number)

    def bev(self) -> Operation:
        """The map."""
        where = {"features": self._features, "coords": "coords"}
        return operation("pillars_to_map", "bev", where, {"map": "map"}, self._map, "pillars")

    def _transformer_layer(self, name: str, walk: int) -> Iterator[Operation]:
        stage = ".".join(name.split(".")[1:3])
        x, value = self._features, f"{name}.x"
        yield from attention_operations(self._settings, name, walk, x, f"{value}3", stage)
        out = {role: f"{name}.attn.attn.out_proj.{role}" for role in ("weight", "bias")}
        out["layer_norm"] = f"{name}.norm1"
        given = {"features": f"{value}3", "residual": x}
        yield layer(f"{name}.projection", given, f"{value}4", out, {}, stage)
        first = {role: f"{name}.fc1.{role}" for role in ("weight", "bias")}
        yield layer(f"{name}.fc1", {"features": f"{value}4"}, f"{value}5", first, {"gelu": True}, stage)
        second = {role: f"{name}.fc2.{role}" for role in ("weight", "bias")} | {"layer_norm": f"{name}.norm2"}
        given = {"features": f"{value}5", "residual": f"{value}4"}
        yield layer(f"{name}.fc2", given, f"{value}6", second, {}, stage)
        self._features = f"{value}6"
        self.twins[self._features] = name
