"""Operations on batches: dense voxels around clouds, and regions that a dense engine executes."""

from __future__ import annotations

import math
from collections.abc import Mapping

from perception.bundle.definitions.arguments import Arguments, Definition, MisfitError
from perception.bundle.graph import Spec


def _grid_coordinates(call: Arguments) -> dict[str, Spec]:
    batches, channels, points = call.spec("points", "float32", None, None, None).shape
    if not isinstance(channels, int) or channels < 3:
        raise MisfitError(f"its input 'points' has {channels} channels, expected x, y, z first")
    _resolution(call)
    if call.attribute("placement", str) not in ("fixed", "normalize", "center"):
        raise MisfitError("its attribute 'placement' must be fixed, normalize or center")
    return {"coordinates": Spec(dtype="float32", shape=(batches, 3, points))}


def _dense_voxelize(call: Arguments) -> dict[str, Spec]:
    batches, channels, points = call.spec("features", "float32", None, None, None).shape
    call.spec("coordinates", "float32", batches, 3, points)
    return {"volume": Spec(dtype="float32", shape=(batches, channels, *(_resolution(call),) * 3))}


def _dense_devoxelize(call: Arguments) -> dict[str, Spec]:
    batches, channels, *_ = call.spec("volume", "float32", None, None, None, None, None).shape
    points = call.spec("coordinates", "float32", batches, 3, None).shape[2]
    return {"features": Spec(dtype="float32", shape=(batches, channels, points))}


def _resolution(call: Arguments) -> int:
    resolution: int = call.attribute("resolution", int)
    if not 1 <= resolution <= 256:
        raise MisfitError(f"its attribute 'resolution' is {resolution}, expected 1 to 256")
    return resolution


def _dense_region(call: Arguments) -> dict[str, Spec]:
    file = call.attribute("file", str)
    if not file.endswith(".onnx") or "/" in file or "\\" in file or file.startswith("."):
        raise MisfitError(f"its attribute 'file' is {file!r}, expected the name of an .onnx file of the bundle")
    shapes = call.attribute("shapes", dict)
    if set(shapes) != set(call.operation.outputs):
        raise MisfitError("its attribute 'shapes' must give the shape of each output")
    if not all(isinstance(shape, tuple) for shape in shapes.values()):
        raise MisfitError("its attribute 'shapes' must hold shapes")
    costs = call.operation.attributes.get("multiplications", {})
    if not isinstance(costs, dict) or not all(type(cost) is int and cost >= 0 for cost in costs.values()):
        raise MisfitError("its attribute 'multiplications' must hold counts")
    return {role: Spec(dtype="float32", shape=shape) for role, shape in shapes.items()}


def _of_region(call: Arguments, counts: Mapping[str, int]) -> int:
    """The sum of terms such as {"blocks*points": 1024}: multiply-accumulates for each unit of those sizes."""
    terms = call.operation.attributes.get("multiplications")
    total = 0
    for term, factor in terms.items() if isinstance(terms, dict) else ():
        units = math.prod(counts.get(size, 0) for size in term.split("*") if size)
        total += units * factor if isinstance(factor, int) else 0
    return total


VOLUMES: dict[str, Definition] = {
    "grid_coordinates": Definition(("points",), _grid_coordinates, is_table=True),
    "dense_voxelize": Definition(("features", "coordinates"), _dense_voxelize),
    "dense_devoxelize": Definition(("volume", "coordinates"), _dense_devoxelize),
    "dense_region": Definition((), _dense_region, optional=("*",), multiplications=_of_region),
}
