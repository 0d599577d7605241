"""Golden cases of the SPVNAS release: MinkUNet, SPVCNN, and SPVNAS both as a super-network and specialised."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from perception.bundle.supernet import TensorSlice, cut, specialise
from perception.golden.cases import Array, GoldenCase
from perception.golden.checks import Check
from perception.golden.executions import Execution, to_numpy
from perception.models.checkpoints import load_weights
from perception.models.minkunet import MinkUNet
from perception.models.published import infer_architecture, specialised_name
from perception.models.spvcnn import SPVCNN
from perception.models.spvnas import SPVNAS
from perception.models.unet import PointVoxelUNet
from perception.nn.sparse_tensor import SparseTensor
from perception.ops import CoordinateHash

#: Outputs in the order in which a network computes them: x down, y up, z at the points.
STAGES = (
    *("x0", "z0", "x1", "x2", "x3", "x4", "z1", "y1_up", "y1", "y2_up", "y2"),
    *("z2", "y3_up", "y3", "y4_up", "y4", "z3", "out"),
)
#: Those before any down-sampling, on which the two rules of it agree.
BEFORE_DOWNSAMPLING = ("x0", "z0")


def check_minkunet(case: GoldenCase, execution: Execution) -> Iterator[Check]:
    """Run a case of MinkUNet."""
    yield from _check(MinkUNet(*_size(case)), case.weights(), case, execution)


def check_spvcnn(case: GoldenCase, execution: Execution) -> Iterator[Check]:
    """Run a case of SPVCNN."""
    yield from _check(SPVCNN(*_size(case)), case.weights(), case, execution)


def check_spvnas(case: GoldenCase, execution: Execution) -> Iterator[Check]:
    """Run a case of SPVNAS twice.

    First with the weights that our rules cut out of the super-network's, then with those of the specialised
    checkpoint, whose every tensor the case describes by the ranges that it keeps of the super-network's.
    """
    classes, tensors = case.spec.config["num_classes"], case.weights()
    described = case.spec.more["specialised_tensors"]
    network = infer_architecture({name: tuple(entry["shape"]) for name, entry in described.items()})
    supernet = {specialised_name(name): tensor for name, tensor in tensors.items()}
    largest = infer_architecture({name: tensor.shape for name, tensor in supernet.items()})
    ours = specialise(supernet, network, largest, classes)
    yield from _check(SPVNAS(classes, network), ours, case, execution, "super-network ")
    kept = {name: cut(tensors[entry["from"]], _ranges(entry["keep"])) for name, entry in described.items()}
    yield from _check(SPVNAS(classes, network), kept, case, execution, "specialised ")


def stage_outputs(network: PointVoxelUNet, run: Any) -> dict[str, Any]:
    """Call `run` and collect what each stage of the network computes: sparse tensors, and tensors at the points."""
    modules: dict[str, nn.Module] = {"x0": network.stem}
    modules |= {f"x{number}": step for number, step in enumerate(network.steps_down(), 1)}  # type: ignore[misc]
    for number, (transition, rest) in enumerate(network.steps_up(), 1):
        modules |= {f"y{number}_up": transition, f"y{number}": rest}  # type: ignore[dict-item]
    readers = {f"z{number}": module for number, module in enumerate([*network.point_transforms, network.classifier])}
    found: dict[str, Any] = {}

    def keep(name: str, value: Any) -> None:
        found[name] = value

    hooks = [m.register_forward_hook(lambda _m, _i, output, n=n: keep(n, output)) for n, m in modules.items()]
    hooks += [m.register_forward_pre_hook(lambda _m, inputs, n=n: keep(n, inputs[0])) for n, m in readers.items()]
    try:
        found["out"] = run()
    finally:
        for hook in hooks:
            hook.remove()
    return found


def _size(case: GoldenCase) -> tuple[int, float]:
    """Classes and width."""
    return case.spec.config["num_classes"], case.spec.config["cr"]


def _check(
    network: PointVoxelUNet, weights: dict[str, Array], case: GoldenCase, execution: Execution, prefix: str = ""
) -> Iterator[Check]:
    load_weights(network, {name: torch.from_numpy(np.array(array)) for name, array in weights.items()}, case.folder)
    network.to(execution.device).eval()
    features = execution.tensor(case.inputs["points"][case.inputs["indices"]])
    tables = execution.tables(case.inputs["coords"])
    with torch.inference_mode():
        found = stage_outputs(network, lambda: network.label(tables, features))
    for stage in STAGES:
        stored = _stored_name(stage, case)
        if stored is not None and stage in found:
            actual = _stored_rows(found[stage], stored, case)
            yield Check(f"{prefix}{stage}", actual, case.outputs[stored], case.tolerance)


def _stored_name(stage: str, case: GoldenCase) -> str | None:
    """The output's name in the case: where it holds both rules of down-sampling, ours has the suffix `_floor`."""
    both = "out_floor" in case.outputs and stage not in BEFORE_DOWNSAMPLING
    name = f"{stage}_floor" if both else stage
    return name if name in case.outputs else None


def _stored_rows(value: SparseTensor | Tensor, stored: str, case: GoldenCase) -> Array:
    """The rows that the case holds: of some voxels, or every so many of the points'."""
    if isinstance(value, Tensor):
        step = case.spec.more["outputs"]["stored"][stored]["row_step"]
        return to_numpy(value[::step])
    rows = CoordinateHash(to_numpy(value.coords)).query(case.outputs[f"{stored}_coords"])
    features = to_numpy(value.features)[rows]
    return np.where(rows[:, None] >= 0, features, np.nan)


def _ranges(keep: list[list[list[int]]]) -> TensorSlice:
    return TensorSlice(tuple(tuple((start, end) for start, end in axis) for axis in keep))
