"""Dense regions: groups of dense steps that run in one go, each an ONNX file.

What lies between the same kernels runs together: the region of a step is told by how many kernels are on the longest
way to it. A step that only later regions read moves there, so that its result need not be kept meanwhile.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import fx

from perception.export.dense import DenseSteps
from perception.export.dense_layers import DenseStep, Shape
from perception.export.names import role_of, scope_of, stage_of
from perception.export.onnx_files import write_onnx


@dataclass(frozen=True)
class Region:
    """A part of a network for ONNX Runtime or TensorRT.

    Attributes:
        name: of its operation.
        stage: what it belongs to.
        inputs, outputs: the file's name of each value -> the graph's.
        shapes: of its outputs.
        multiplications: multiply-accumulates, by the sizes that they grow with.
        content: the ONNX file.
    """

    name: str
    stage: str
    inputs: dict[str, str]
    outputs: dict[str, str]
    shapes: dict[str, Shape]
    multiplications: dict[str, int]
    content: bytes

    @property
    def file(self) -> str:
        """The name of its ONNX file."""
        return f"{self.name}.onnx"


def make_regions(dense: DenseSteps, names: Mapping[Any, str]) -> list[Region]:
    """Group the dense steps of a network.

    Args:
        dense: the steps.
        names: step of the record -> value.
    """
    levels = _levels(dense)
    groups: dict[int, list[DenseStep]] = {}
    for node, step in dense.steps.items():
        groups.setdefault(levels[node], []).append(step)
    return [_region(number, groups[level], dense, names) for number, level in enumerate(sorted(groups))]


def _levels(dense: DenseSteps) -> dict[fx.Node, int]:
    """The level of each step: as late as what reads it allows."""
    levels = {node: dense.levels[node] for node in dense.steps}
    for node in reversed(dense.steps):
        readers = dense.readers(node)
        if readers and all(reader in levels for reader in readers):
            levels[node] = min(levels[reader] for reader in readers)
    return levels


def _region(number: int, steps: list[DenseStep], dense: DenseSteps, names: Mapping[Any, str]) -> Region:
    inside = {step.node for step in steps}
    read = dict.fromkeys(source for step in steps for source in step.inputs if source not in inside)
    given = [step for step in steps if any(reader not in inside for reader in dense.readers(step.node))]
    inputs = {role_of(names[node]): node for node in read}
    outputs = {role_of(names[step.node]): step for step in given}
    cost: Counter[str] = Counter()
    for step in steps:
        cost.update(step.cost)
    name = f"dense_{number}"
    content = write_onnx(name, steps, {role: (node, dense.shape(node)) for role, node in inputs.items()}, outputs)
    return Region(
        name,
        stage_of(scope_of(steps[-1].node)),
        {role: names[node] for role, node in inputs.items()},
        {role: names[step.node] for role, step in outputs.items()},
        {role: step.shape for role, step in outputs.items()},
        dict(cost),
        content,
    )
