"""Running a bundle's graph on NumPy arrays or on arrays of a GPU, with the project's kernels and dense engines."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

from perception.bundle.definitions import DEFINITIONS
from perception.bundle.graph import CheckedGraph, Operation
from perception.ops import PreparedTable, timed_calls
from perception.ops.arrays import Array
from perception.runtime.place import Arena
from perception.runtime.plan import Layout, MemoryPlan
from perception.runtime.steps import Run, Setting, build
from perception.runtime.timing import StageTimer


@dataclass(frozen=True)
class Step:
    """An operation, ready to run.

    Attributes:
        operation: what it is.
        run: does it.
        planned: roles of what it makes that are written into the arena.
        released: values that nothing needs afterwards.
    """

    operation: Operation
    run: Run
    planned: tuple[str, ...]
    released: tuple[str, ...]

    @property
    def is_table(self) -> bool:
        """Whether it depends on where voxels are only."""
        return DEFINITIONS[self.operation.op].is_table


@dataclass
class RunTimes:
    """What runs of a graph took.

    Attributes:
        total_ms: all of it.
        kernels_ms: of that, inside the kernels' library, which on a GPU only starts them; without dense engines.
    """

    total_ms: float = 0.0
    kernels_ms: float = 0.0

    @contextmanager
    def running(self) -> Iterator[None]:
        """Add the time that the block takes."""
        start_s = time.perf_counter()
        with timed_calls() as calls_s:
            yield
        self.total_ms += (time.perf_counter() - start_s) * 1e3
        self.kernels_ms += sum(calls_s) * 1e3


class GraphExecutor:
    """A loaded graph. One thread at a time calls it; several of them share a place.

    Args:
        checked: the graph.
        setting: its weights, and where it runs.

    Attributes:
        plan: which part of the arena each value uses.
        arena_bytes: how large the arena is at present.
        shapes: of the weights, by name.
        watch: if not None, times of the next runs are added up there, and timers take the time of every operation.
    """

    def __init__(self, checked: CheckedGraph, setting: Setting) -> None:
        self.checked = checked
        self.plan = MemoryPlan.of(checked)
        self.arena_bytes = 0
        self.watch: RunTimes | None = None
        self.shapes = {name: tensor.shape for name, tensor in setting.tensors.items()}
        self._arena: Arena | None = None
        # Operations keep what they are built with: they shall not keep the weights as the file has them, unfolded.
        tensors = dict(setting.tensors)
        self._setting = replace(setting, tensors=tensors)
        self._steps = _steps(checked, self._setting)
        tensors.clear()
        # Stages as they are timed: tables, then the rest.
        self._stages = [
            ("maps" if table else "network", list(steps)) for table, steps in groupby(self._steps, lambda s: s.is_table)
        ]

    def run(
        self,
        inputs: Mapping[str, Array],
        timer: StageTimer | None = None,
        *,
        per_operation: bool = False,
        keep: Iterable[str] = (),
    ) -> dict[str, Array]:
        """Run the graph once.

        Args:
            inputs: what the graph's inputs ask for, by name, where the graph runs.
            timer: takes the time of the stages "maps" and "network".
            per_operation: take the time of every operation by its name instead.
            keep: names of further values to give, copied to the CPU.

        Returns:
            The graph's outputs by role, which the next run may write over, and the values to keep by name.

        Raises:
            ValueError: an input is missing, or has another type or shape.
        """
        if self.watch is not None:
            with self.watch.running():
                return self._run(inputs, timer, True, keep)
        return self._run(inputs, timer, per_operation, keep)

    def _run(
        self, inputs: Mapping[str, Array], timer: StageTimer | None, per_operation: bool, keep: Iterable[str]
    ) -> dict[str, Array]:
        counts = self._counts(inputs)
        frame = _Frame(self, dict(inputs), counts, frozenset(keep))
        for stage, steps in self._stages:
            if timer is None:
                frame.run(steps)
            elif per_operation:
                for step in steps:
                    with timer.stage(step.operation.name):
                        frame.run([step])
            else:
                with timer.stage(stage):
                    frame.run(steps)
        outputs = {role: frame.values[value] for role, value in self.checked.graph.outputs.items()}
        return frame.kept | outputs

    def arena(self, layout: Layout) -> Arena:
        """Give the arena, made larger where it is too small."""
        if self._arena is None or layout.total > self.arena_bytes:
            self._arena = None  # the old one is given back first
            self._arena = self._setting.place.arena(layout.total)
            self.arena_bytes = layout.total
        return self._arena

    def close(self) -> None:
        """Free the arena, the weights and the dense engines."""
        self._steps, self._stages, self._arena = [], [], None
        for region in self._setting.regions.values():
            region.close()

    def to_host(self, value: Any) -> Any:
        """Copy a value to CPU memory of its own."""
        array = value.table if isinstance(value, PreparedTable) else value
        return self._setting.place.download(array).copy()

    def _counts(self, inputs: Mapping[str, Array]) -> dict[str, int]:
        counts: dict[str, int] = {}
        for name, spec in self.checked.graph.inputs.items():
            if name not in inputs:
                raise ValueError(f"the input '{name}' is missing: {spec}")
            shape = tuple(inputs[name].shape)
            fits = len(shape) == len(spec.shape)
            for size, found in zip(spec.shape, shape, strict=False):
                fits &= found == (counts.setdefault(size, found) if isinstance(size, str) else size)
            if not fits:
                raise ValueError(f"the input '{name}' has the shape {list(shape)}, expected {spec}")
        return counts


class _Frame:
    """The values of one run."""

    def __init__(
        self, executor: GraphExecutor, values: dict[str, Any], counts: dict[str, int], keep: frozenset[str]
    ) -> None:
        self.values = values
        self.kept: dict[str, Any] = {}
        self._executor = executor
        self._counts = counts
        self._keep = keep
        self._layout: Layout | None = None
        self._arena: Arena | None = None

    def run(self, steps: Iterable[Step]) -> None:
        values, specs = self.values, self._executor.checked.specs
        for step in steps:
            operation = step.operation
            given = {role: values[value] for role, value in operation.inputs.items()}
            made = step.run(given, self._outputs(step))
            for role, value in operation.outputs.items():
                values[value] = made[role]
                rows = specs[value].shape[0]
                if isinstance(rows, str) and rows not in self._counts:
                    self._counts[rows] = len(made[role])
                if value in self._keep:
                    self.kept[value] = self._executor.to_host(made[role])
            for value in step.released:
                del values[value]

    def _outputs(self, step: Step) -> dict[str, Array]:
        """The parts of the arena that an operation writes to; all counts are known when the first one is asked for."""
        if not step.planned:
            return {}
        if self._layout is None or self._arena is None:
            self._layout = self._executor.plan.layout(self._counts)
            self._arena = self._executor.arena(self._layout)
        outputs = {}
        for role in step.planned:
            value = step.operation.outputs[role]
            spec = self._executor.checked.specs[value]
            shape = [self._counts[size] if isinstance(size, str) else size for size in spec.shape]
            outputs[role] = self._arena.view(self._layout.offsets[value], shape, spec.dtype)
        return outputs


def _steps(checked: CheckedGraph, setting: Setting) -> list[Step]:
    """Build every operation."""
    uses, steps = checked.last_uses(), []
    for number, operation in enumerate(checked.operations):
        inputs = {role: checked.specs[value] for role, value in operation.inputs.items()}
        planned = tuple(operation.outputs) if DEFINITIONS[operation.op].is_planned else ()
        involved = dict.fromkeys((*operation.inputs.values(), *operation.outputs.values()))
        released = tuple(value for value in involved if uses[value] <= number)
        steps.append(Step(operation, build(operation, inputs, setting), planned, released))
    return steps
