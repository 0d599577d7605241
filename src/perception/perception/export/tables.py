"""Steps of a record that depend on coordinates only."""

from __future__ import annotations

import operator
from typing import Any

from torch import fx

from perception.export.drafts import Draft, Drafts
from perception.export.names import arguments, scope_of, stage_of


def add_downsample(drafts: Drafts, node: fx.Node) -> None:
    """The next coarser level."""
    inputs = drafts.values(node, "coords")
    stride = drafts.stride(inputs["coords"])
    outputs = {"coords": f"coords/{2 * stride}", "parent": f"parent/{stride}", "offset": f"offset/{stride}"}
    attributes = {"rows": f"voxels/{2 * stride}"}
    drafts.emit(node, f"downsample/{stride}", Draft("downsample", "", inputs, outputs, {}, attributes))


def add_submanifold_table(drafts: Drafts, node: fx.Node) -> None:
    """The neighbours of each voxel."""
    inputs = drafts.values(node, "coords")
    name = f"neighbours/{drafts.stride(inputs['coords'])}"
    drafts.emit(node, name, Draft("submanifold_table", "", inputs, {"table": name}))


def add_strided_table(drafts: Drafts, node: fx.Node) -> None:
    """The children of each coarser voxel."""
    inputs = drafts.values(node, "parent", "offset", "coords")
    name = f"children/{drafts.stride(inputs['parent'])}"
    drafts.emit(node, name, Draft("strided_table", "", inputs, {"table": name}))


def add_trilinear_table(drafts: Drafts, node: fx.Node) -> None:
    """The voxels of a level around each point."""
    name = f"corners/{arguments(node)[2]}"
    outputs = {"rows": f"{name}/rows", "weights": f"{name}/weights"}
    inputs = drafts.values(node, "points", "coords")
    drafts.emit(node, name, Draft("trilinear_table", "", inputs, outputs, {}, {"stride": arguments(node)[2]}))


def add_take_rows(drafts: Drafts, node: fx.Node) -> None:
    """The voxel of a level above each point, through the levels between."""
    inputs = drafts.values(node, "values", "rows")
    name = f"ancestors/{2 * drafts.stride(inputs['values'])}"
    drafts.emit(node, name, Draft("take_rows", "", inputs, {"values": name}))


def add_grid_coordinates(drafts: Drafts, node: fx.Node) -> None:
    """Where points lie in the grid of a block."""
    points, resolution, placement = arguments(node)
    source = arguments(points)[0] if isinstance(points, fx.Node) and is_coordinates(points) else points
    attributes = {"resolution": resolution, "placement": placement}
    name, inputs = f"cells/{resolution}", {"points": drafts.value(source, node)}
    drafts.emit(node, name, Draft("grid_coordinates", "", inputs, {"coordinates": name}, {}, attributes))


def add_voxelize(drafts: Drafts, node: fx.Node) -> None:
    """Points into the grid of their block."""
    name, inputs = f"{scope_of(node)}.voxelize", drafts.values(node, "features", "coordinates")
    attributes = {"resolution": arguments(node)[2]}
    drafts.emit(node, name, Draft("dense_voxelize", stage_of(name), inputs, {"volume": name}, {}, attributes))


def add_devoxelize(drafts: Drafts, node: fx.Node) -> None:
    """The grid of a block read at its points."""
    name, inputs = f"{scope_of(node)}.devoxelize", drafts.values(node, "volume", "coordinates")
    drafts.emit(node, name, Draft("dense_devoxelize", stage_of(name), inputs, {"features": name}))


def is_coordinates(node: fx.Node) -> bool:
    """Whether a step takes x, y, z of points [B, C, N]."""
    every: Any = slice(None)
    return node.target is operator.getitem and arguments(node)[1] == (every, slice(None, 3))
