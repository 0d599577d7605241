"""Operations on the voxels of a cloud in a grid of fixed shape (VoxelNet)."""

from __future__ import annotations

import math

from perception.bundle.definitions.arguments import Arguments, Definition, MisfitError
from perception.bundle.graph import Spec
from perception.ops.kernel_maps import output_shape

Three = tuple[int, int, int]
AXES = ("x", "y", "z")
#: Cells of a grid along an axis, at most.
MOST_CELLS = 65503
#: The farthest that a grid may lie from the sensor.
MOST_M = 1e5
#: Largest capacities.
MOST = {"voxel_points": 1000, "most_voxels": 10_000_000}


def _voxelize(call: Arguments) -> dict[str, Spec]:
    channels = call.spec("points", "float32", None, None).shape[1]
    if not isinstance(channels, int) or channels < len(AXES):
        raise MisfitError(f"its input 'points' has {channels} columns, expected x, y, z first")
    for axis in AXES:
        low, high, edge = (call.attribute(f"{name}_{axis}_m", float) for name in ("low", "high", "edge"))
        if not (edge > 0 and 1 <= (high - low) / edge <= MOST_CELLS and max(-low, high) <= MOST_M):
            raise MisfitError(f"its attributes give no grid along {axis}: from {low} to {high} m in steps of {edge} m")
    for name, most in MOST.items():
        if not 1 <= call.attribute(name, int) <= most:
            raise MisfitError(f"its attribute '{name}' must be 1 to {most}")
    rows = call.attribute("rows", str)
    return {"coords": Spec(dtype="int32", shape=(rows, 4)), "features": Spec(dtype="float32", shape=(rows, channels))}


def _window_table(call: Arguments) -> dict[str, Spec]:
    call.spec("coords", "int32", None, 4)
    size, shape = three(call, "size", 1, 7), three(call, "shape", 1, MOST_CELLS)
    stride, padding = three(call, "stride", 1, 64), three(call, "padding", 0, 64)
    if min(output_shape(shape, size, stride, padding)) < 1:
        raise MisfitError("its attributes leave nothing of the grid")
    rows = call.attribute("rows", str)
    return {"coords": Spec(dtype="int32", shape=(rows, 4)), "table": Spec(dtype="int32", shape=(rows, math.prod(size)))}


def _voxels_to_map(call: Arguments) -> dict[str, Spec]:
    rows, channels = call.spec("features", None, None, None).shape
    call.spec("coords", "int32", rows, 4)
    width, height, layers = three(call, "shape", 1, 4096)
    if not isinstance(channels, int):
        raise MisfitError("its input 'features' must have a fixed number of channels")
    return {"map": Spec(dtype=call.operation.dtype, shape=(1, channels * layers, height, width))}


def three(call: Arguments, name: str, low: int, high: int) -> Three:
    """An attribute that holds a number for each of x, y, z, within limits."""
    values = call.attribute(name, dict)
    if set(values) != set(AXES) or not all(type(value) is int and low <= value <= high for value in values.values()):
        raise MisfitError(f"its attribute '{name}' is {values}, expected {low} to {high} for each of x, y, z")
    x, y, z = (int(values[axis]) for axis in AXES)
    return x, y, z


VOXELS: dict[str, Definition] = {
    "voxelize": Definition(("points",), _voxelize, is_table=True, new_sizes=("rows",)),
    "window_table": Definition(("coords",), _window_table, is_table=True, new_sizes=("rows",)),
    "voxels_to_map": Definition(("features", "coords"), _voxels_to_map, is_planned=True),
}
