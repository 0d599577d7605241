"""How the executor runs each operation of a graph; `perception.bundle.operations` says what it takes and gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perception import ops
from perception.bundle.graph import Operation, Spec
from perception.ops import rows
from perception.ops.tuning import ConvolutionTuner
from perception.runtime.dense.region import DenseRegion
from perception.runtime.place import Place
from perception.runtime.weights import LayerWeights, layer_weights

Values = Mapping[str, Any]
#: Gives what an operation makes, by role, from what goes in, by role, and from the memory for what it makes.
Run = Callable[[Values, Values], dict[str, Any]]


@dataclass(frozen=True)
class Setting:
    """What operations are built with.

    Attributes:
        tensors: the weights of the bundle.
        place: where arrays lie.
        threads: CPU threads, all by default.
        regions: the dense regions, by file.
        tuner: chooses how a GPU computes each convolution; None on the CPU, where there is nothing to choose.
    """

    tensors: Mapping[str, NDArray[Any]]
    place: Place
    threads: int | None
    regions: Mapping[str, DenseRegion]
    tuner: ConvolutionTuner | None = None

    def layer(self, operation: Operation, features: Spec) -> LayerWeights:
        """The weights of a layer, where it runs."""
        channels = features.shape[-1]
        assert isinstance(channels, int)
        weight, bias = layer_weights(operation, self.tensors, channels)
        return LayerWeights(self.place.upload(weight), None if bias is None else self.place.upload(bias))


def build(operation: Operation, inputs: Mapping[str, Spec], setting: Setting) -> Run:
    """Prepare an operation: everything that does not depend on a frame is done here, once."""
    return BUILDERS[operation.op](operation, inputs, setting)


def _downsample(operation: Operation, _: Mapping[str, Spec], setting: Setting) -> Run:
    stride = int(operation.attributes.get("stride", 2))  # type: ignore[arg-type]

    def run(values: Values, _: Values) -> dict[str, Any]:
        return ops.downsample(values["coords"], stride, threads=setting.threads)._asdict()

    return run


def _submanifold_table(_: Operation, __: Mapping[str, Spec], setting: Setting) -> Run:
    def run(values: Values, _: Values) -> dict[str, Any]:
        coords = values["coords"]
        table = ops.submanifold_table(coords, threads=setting.threads)
        return {"table": ops.PreparedTable(table, len(coords), setting.threads)}

    return run


def _strided_table(_: Operation, __: Mapping[str, Spec], setting: Setting) -> Run:
    def run(values: Values, _: Values) -> dict[str, Any]:
        parent, offset, coarse = values["parent"], values["offset"], values["coords"]
        table = ops.strided_table(parent, offset, len(coarse), threads=setting.threads)
        return {"table": ops.PreparedTable(table, len(parent), setting.threads)}

    return run


def _trilinear_table(operation: Operation, _: Mapping[str, Spec], setting: Setting) -> Run:
    stride = int(operation.attributes["stride"])  # type: ignore[arg-type]

    def run(values: Values, _: Values) -> dict[str, Any]:
        points = rows.cast(values["points"], np.float32, threads=setting.threads)
        table = ops.trilinear_table(points, values["coords"], stride, threads=setting.threads)
        return dict(zip(("rows", "weights"), table, strict=True))

    return run


def _take_rows(_: Operation, __: Mapping[str, Spec], setting: Setting) -> Run:
    def run(values: Values, _: Values) -> dict[str, Any]:
        return {"values": rows.take_rows(values["values"], values["rows"], threads=setting.threads)}

    return run


def _sparse_convolution(operation: Operation, inputs: Mapping[str, Spec], setting: Setting) -> Run:
    weight, bias = setting.layer(operation, inputs["features"])
    relu = bool(operation.attributes.get("relu", False))

    def run(values: Values, out: Values) -> dict[str, Any]:
        features, table = values["features"], values["table"]
        tuning = None if setting.tuner is None else setting.tuner.tuning(features, table, weight)
        layer = (features, table, weight, bias, values.get("residual"), relu)
        return {"features": ops.sparse_convolution(*layer, tuning=tuning, threads=setting.threads, out=out["features"])}

    return run


def _inverse_convolution(operation: Operation, inputs: Mapping[str, Spec], setting: Setting) -> Run:
    weight, bias = setting.layer(operation, inputs["features"])
    relu = bool(operation.attributes.get("relu", False))

    def run(values: Values, out: Values) -> dict[str, Any]:
        layer = (values["features"], values["parent"], values["offset"], weight, bias, values.get("residual"), relu)
        return {"features": ops.inverse_convolution(*layer, threads=setting.threads, out=out["features"])}

    return run


def _linear(operation: Operation, inputs: Mapping[str, Spec], setting: Setting) -> Run:
    weight, bias = setting.layer(operation, inputs["features"])
    activation: Any = "relu" if operation.attributes.get("relu", False) else "none"

    def run(values: Values, out: Values) -> dict[str, Any]:
        options = {"residual": values.get("residual"), "threads": setting.threads, "out": out["features"]}
        return {"features": ops.linear(values["features"], weight, bias, activation, **options)}

    return run


def _concatenate(_: Operation, __: Mapping[str, Spec], setting: Setting) -> Run:
    def run(values: Values, out: Values) -> dict[str, Any]:
        parts = [values["a"], values["b"]]
        return {"features": rows.concatenate_columns(parts, threads=setting.threads, out=out["features"])}

    return run


def _add(operation: Operation, _: Mapping[str, Spec], setting: Setting) -> Run:
    relu = bool(operation.attributes.get("relu", False))

    def run(values: Values, out: Values) -> dict[str, Any]:
        both = (values["a"], values["b"])
        return {"features": rows.add_rows(*both, relu=relu, threads=setting.threads, out=out["features"])}

    return run


def _cast(operation: Operation, _: Mapping[str, Spec], setting: Setting) -> Run:
    def run(values: Values, out: Values) -> dict[str, Any]:
        options = {"threads": setting.threads, "out": out["features"]}
        return {"features": rows.cast(values["features"], operation.dtype, **options)}

    return run


def _devoxelize(_: Operation, __: Mapping[str, Spec], setting: Setting) -> Run:
    def run(values: Values, out: Values) -> dict[str, Any]:
        table = (values["rows"], values["weights"])
        return {"features": ops.devoxelize(values["features"], *table, threads=setting.threads, out=out["features"])}

    return run


def _scatter_mean(_: Operation, __: Mapping[str, Spec], setting: Setting) -> Run:
    def run(values: Values, out: Values) -> dict[str, Any]:
        options = {"threads": setting.threads, "out": out["features"]}
        means, _ = ops.scatter_mean(values["features"], values["rows"], len(values["coords"]), **options)
        return {"features": means}

    return run


def _grid_coordinates(operation: Operation, _: Mapping[str, Spec], setting: Setting) -> Run:
    resolution, placement = operation.attributes["resolution"], operation.attributes["placement"]
    assert isinstance(resolution, int)

    def run(values: Values, _: Values) -> dict[str, Any]:
        points = np.ascontiguousarray(setting.place.download(values["points"])[:, :3])
        if placement == "fixed":
            cells = (np.clip((points + 1) / 2, 0, 1) * (resolution - 1)).astype(np.float32)
        else:
            normalize = placement == "normalize"
            cells = ops.dense_coordinates(points, resolution, normalize=normalize, threads=setting.threads)
        return {"coordinates": setting.place.upload(cells)}

    return run


def _dense_voxelize(operation: Operation, _: Mapping[str, Spec], setting: Setting) -> Run:
    resolution = operation.attributes["resolution"]
    assert isinstance(resolution, int)

    def run(values: Values, _: Values) -> dict[str, Any]:
        cells = (values["features"], values["coordinates"], resolution)
        return {"volume": ops.dense_voxelize(*cells, threads=setting.threads)[0]}

    return run


def _dense_devoxelize(_: Operation, __: Mapping[str, Spec], setting: Setting) -> Run:
    def run(values: Values, _: Values) -> dict[str, Any]:
        return {"features": ops.dense_devoxelize(values["volume"], values["coordinates"], threads=setting.threads)}

    return run


def _dense_region(operation: Operation, _: Mapping[str, Spec], setting: Setting) -> Run:
    region = setting.regions[str(operation.attributes["file"])]

    def run(values: Values, _: Values) -> dict[str, Any]:
        return region.run(values)

    return run


BUILDERS: dict[str, Callable[[Operation, Mapping[str, Spec], Setting], Run]] = {
    "downsample": _downsample,
    "submanifold_table": _submanifold_table,
    "strided_table": _strided_table,
    "trilinear_table": _trilinear_table,
    "take_rows": _take_rows,
    "sparse_convolution": _sparse_convolution,
    "inverse_convolution": _inverse_convolution,
    "linear": _linear,
    "concatenate": _concatenate,
    "add": _add,
    "cast": _cast,
    "devoxelize": _devoxelize,
    "scatter_mean": _scatter_mean,
    "grid_coordinates": _grid_coordinates,
    "dense_voxelize": _dense_voxelize,
    "dense_devoxelize": _dense_devoxelize,
    "dense_region": _dense_region,
}
