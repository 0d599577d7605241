"""Operations that depend on where voxels are only, not on features."""

from __future__ import annotations

from perception.bundle.definitions.arguments import Arguments, Definition, MisfitError
from perception.bundle.graph import Spec


def _downsample(call: Arguments) -> dict[str, Spec]:
    rows = call.spec("coords", "int32", None, 4).shape[0]
    coarse = call.attribute("rows", str)
    if not 2 <= call.attribute("stride", int, 2) <= 6:
        raise MisfitError("its attribute 'stride' must be 2 to 6")
    return {
        "coords": Spec(dtype="int32", shape=(coarse, 4)),
        "parent": Spec(dtype="int32", shape=(rows,)),
        "offset": Spec(dtype="uint8", shape=(rows,)),
    }


def _submanifold_table(call: Arguments) -> dict[str, Spec]:
    return {"table": Spec(dtype="int32", shape=(call.spec("coords", "int32", None, 4).shape[0], 27))}


def _strided_table(call: Arguments) -> dict[str, Spec]:
    rows = call.spec("parent", "int32", None).shape[0]
    call.spec("offset", "uint8", rows)
    return {"table": Spec(dtype="int32", shape=(call.spec("coords", "int32", None, 4).shape[0], 8))}


def _trilinear_table(call: Arguments) -> dict[str, Spec]:
    points = call.spec("points", "int32", None, 4).shape[0]
    call.spec("coords", "int32", None, 4)
    if call.attribute("stride", int) < 1:
        raise MisfitError("its attribute 'stride' must be positive")
    return {"rows": Spec(dtype="int32", shape=(points, 8)), "weights": Spec(dtype="float32", shape=(points, 8))}


def _take_rows(call: Arguments) -> dict[str, Spec]:
    call.spec("values", "int32", None)
    return {"values": Spec(dtype="int32", shape=call.spec("rows", "int32", None).shape)}


TABLES: dict[str, Definition] = {
    "downsample": Definition(("coords",), _downsample, is_table=True, new_sizes=("rows",)),
    "submanifold_table": Definition(("coords",), _submanifold_table, is_table=True),
    "strided_table": Definition(("parent", "offset", "coords"), _strided_table, is_table=True),
    "trilinear_table": Definition(("points", "coords"), _trilinear_table, is_table=True),
    "take_rows": Definition(("values", "rows"), _take_rows, is_table=True),
}
