"""A whole SPVCNN of width 1.0 on one scan, run from its graph, beside its limit, PyTorch and the sum of its parts.

Weights are drawn; maps are counted in our time only. The limit is the sum of those of the convolutions and linear
layers, as for the MinkUNet.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.kernel_cases import Case, Context
from perception.bundle.definitions import pairs_of
from perception.bundle.graph import CheckedGraph, Spec
from perception.bundle.operations import arguments_of, check_graph, multiplications
from perception.export.lowering import lower
from perception.export.tracing import trace
from perception.models.spvcnn import SPVCNN
from perception.nn.backends import NATIVE, REFERENCE, Backend
from perception.nn.fusion import fuse
from perception.nn.tables import FrameTables
from perception.runtime import StageTimer
from perception.runtime.executor import GraphExecutor
from perception.runtime.place import HOST
from perception.runtime.steps import Setting
from perception.runtime.voxels import FrameVoxels, voxelize_frame

VOXEL_SIZE_M = 0.05
LEAST_SHARE, LEAST_OVER_PYTORCH, LEAST_OF_PARTS = 0.70, 1.6, 1 / 1.1
RUNS_OF_PARTS = 5
INPUTS = {
    "coords": Spec(dtype="int32", shape=("voxels/1", 4)),
    "features": Spec(dtype="float32", shape=("voxels/1", 4)),
}


class PlainBackend:
    """Convolutions in plain PyTorch, gather, multiply, add; which rows meet is worked out once a table."""

    def __init__(self) -> None:
        self._pairs: dict[int, list[tuple[Tensor, Tensor]]] = {}
        tables = {name: getattr(NATIVE, name) for name in ("coordinates", "downsample")}
        tables |= {name: getattr(NATIVE, name) for name in ("submanifold_table", "strided_table", "trilinear_table")}
        self.backend: Backend = replace(
            REFERENCE,
            **tables,
            fused_convolution=self._convolve,
            fused_inverse_convolution=self._ascend,
            devoxelize=lambda features, *table: REFERENCE.devoxelize(features, *map(torch.as_tensor, table)),
            scatter_mean=lambda features, rows, coords: REFERENCE.scatter_mean(features, torch.as_tensor(rows), coords),
        )

    def _convolve(self, features: Tensor, table: np.ndarray, *layer: Any) -> Tensor:
        if id(table) not in self._pairs:
            outputs = [np.flatnonzero(column >= 0) for column in table.T]
            pairs = [(rows, table[rows, k].astype(np.int64)) for k, rows in enumerate(outputs)]
            self._pairs[id(table)] = [(torch.from_numpy(rows), torch.from_numpy(inputs)) for rows, inputs in pairs]
        return self._add_up(features, len(table), self._pairs[id(table)], *layer)

    def _ascend(self, features: Tensor, parent: np.ndarray, offset: np.ndarray, *layer: Any) -> Tensor:
        if id(offset) not in self._pairs:
            outputs = [np.flatnonzero(offset == k) for k in range(8)]
            pairs = [(rows, parent[rows].astype(np.int64)) for rows in outputs]
            self._pairs[id(offset)] = [(torch.from_numpy(rows), torch.from_numpy(inputs)) for rows, inputs in pairs]
        return self._add_up(features, len(parent), self._pairs[id(offset)], *layer)

    def _add_up(
        self,
        features: Tensor,
        rows: int,
        pairs: list[tuple[Tensor, Tensor]],
        weight: Tensor,
        bias: Tensor,
        residual: Tensor | None,
        relu: bool,
    ) -> Tensor:
        result = bias.repeat(rows, 1) if residual is None else residual + bias
        for k, (outputs, inputs) in enumerate(pairs):
            result.index_add_(0, outputs, features[inputs] @ weight[k])
        return result.relu_() if relu else result


def drawn_network() -> SPVCNN:
    """An SPVCNN of width 1.0 whose statistics are not those of a fresh one."""
    torch.manual_seed(0)
    network = SPVCNN().eval()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm1d):
            torch.nn.init.uniform_(module.weight, 0.8, 1.2)
            module.running_var.uniform_(0.2, 0.5)
    return network


def layer_limits_ms(context: Context, executor: GraphExecutor, inputs: dict[str, np.ndarray]) -> float:
    """Sum what the convolutions and linear layers need at least on this frame."""
    checked = executor.checked
    counts, shapes = frame_counts(executor, inputs), executor.shapes
    total = 0.0
    for name, cost in multiplications(checked, shapes, counts).items():
        operation = next(one for one in checked.operations if one.name == name)
        arguments = arguments_of(operation, checked.specs, shapes)
        values = (*arguments.inputs.values(), *(checked.specs[value] for value in operation.outputs.values()))
        weight = next(shapes[operation.weights[role]] for role in ("kernel", "weight") if role in operation.weights)
        moved_bytes = sum(spec.bytes(counts) for spec in values) + 4 * int(np.prod(weight))
        total += context.limit_ms(2.0 * cost, moved_bytes)
    return total


def frame_counts(executor: GraphExecutor, inputs: dict[str, np.ndarray]) -> dict[str, int]:
    """Rows of every level and entries of every table."""
    checked = executor.checked
    names = [name for name, spec in checked.specs.items() if spec.dtype == "int32" and name not in inputs]
    found = executor.run(inputs, keep=names) | inputs
    counts = {}
    for name in (*names, *inputs):
        size = checked.specs[name].shape[0]
        if isinstance(size, str):
            counts[size] = len(found[name])
        counts[pairs_of(name)] = int(np.count_nonzero(found[name] >= 0))
    return counts


def sum_of_parts_ms(executor: GraphExecutor, inputs: dict[str, np.ndarray]) -> float:
    """The fastest time of every operation, added up."""
    fastest: dict[str, float] = {}
    for _ in range(RUNS_OF_PARTS):
        timer = StageTimer()
        executor.run(inputs, timer, per_operation=True)
        fastest = {name: min(ms, fastest.get(name, ms)) for name, ms in timer.stage_ms.items()}
    return sum(fastest.values())


def make_executor(network: SPVCNN, threads: int) -> GraphExecutor:
    """The network's graph, ready to run."""
    tensors = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    shapes = {name: tensor.shape for name, tensor in tensors.items()}
    checked: CheckedGraph = check_graph(lower(trace(network), INPUTS).graph, shapes, "SPVCNN")
    return GraphExecutor(checked, Setting(tensors, HOST, threads, {}))


def cases(context: Context) -> list[Case]:
    """The network beside its limit, PyTorch, and the sum of its operations."""
    voxels: FrameVoxels = voxelize_frame(context.points, 0.4 if context.fast else VOXEL_SIZE_M)
    inputs = {"coords": voxels.coords, "features": voxels.features}
    network = drawn_network()
    executor = make_executor(network, context.threads)
    scores = executor.run(inputs)["scores"].copy()
    fused, tables = fuse(network), FrameTables(voxels.coords, PlainBackend().backend)

    def plain() -> Tensor:
        with torch.inference_mode():
            return fused.label(tables, torch.from_numpy(voxels.features))

    expected = plain().numpy()
    np.testing.assert_allclose(scores, expected, rtol=0, atol=1e-4 * np.abs(expected).max())
    name = f"SPVCNN of {len(voxels.coords)} voxels, maps included"

    def ours() -> object:
        return executor.run(inputs)

    def required(ratio: float) -> float | None:
        return None if context.fast else ratio

    limit_ms, parts_ms = layer_limits_ms(context, executor, inputs), sum_of_parts_ms(executor, inputs)
    return [
        Case(name, ours, "sum of the layers' limits", required=required(LEAST_SHARE), peer_ms=limit_ms),
        Case(name, ours, "PyTorch, maps ready", plain, required(LEAST_OVER_PYTORCH)),
        Case(name, ours, "sum of its operations", required=required(LEAST_OF_PARTS), peer_ms=parts_ms),
    ]
