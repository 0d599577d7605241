"""Steps on rows of features."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from perception import ops
from perception.bundle.graph import Operation, Spec
from perception.ops import rows
from perception.runtime.steps.setting import Builder, Run, Setting, Values, columns, used_channels


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
    activation: Any = next((name for name in ("relu", "gelu") if operation.attributes.get(name, False)), "none")
    norm, held = setting.layer_norm(operation), inputs["features"].shape[1]
    assert isinstance(held, int)
    used = used_channels(operation, held)

    def run(values: Values, out: Values) -> dict[str, Any]:
        options: dict[str, Any] = {"norm": norm, "residual": values.get("residual")}
        options |= {"residual_rows": values.get("residual_rows"), "threads": setting.threads, "out": out["features"]}
        features = columns(values["features"], used)
        return {"features": ops.linear(features, weight, bias, activation, **options)}

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


LAYERS: dict[str, Builder] = {
    "sparse_convolution": _sparse_convolution,
    "inverse_convolution": _inverse_convolution,
    "linear": _linear,
    "concatenate": _concatenate,
    "add": _add,
    "cast": _cast,
    "devoxelize": _devoxelize,
    "scatter_mean": _scatter_mean,
}
