"""Running a bundle again and again on some clouds, and taking the time of every part of it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perception.bundle.graph import CheckedGraph
from perception.evaluation.latency import summarize
from perception.evaluation.results import LatencySummary
from perception.runtime.executor import RunTimes
from perception.runtime.inspection import FrameCosts, by_stage
from perception.runtime.native import NativeEngine
from perception.types import Frame, PointCloud

Clouds = Sequence[NDArray[np.float32]]


@dataclass(frozen=True)
class Sample:
    """One frame.

    Attributes:
        cloud: its number.
        total_ms: from the points to their classes or boxes.
        part_ms: of everything that was timed: operations of the graph by name, and what surrounds the graph.
        graph_ms: of the total, what the executor takes for the graph, which on a GPU is to start it.
        kernels_ms: of that, inside kernels and dense engines; None on a GPU, which works on while Python does.
    """

    cloud: int
    total_ms: float
    part_ms: Mapping[str, float]
    graph_ms: float
    kernels_ms: float | None


@dataclass(frozen=True)
class Figures:
    """What was found, in milliseconds and operations.

    Attributes:
        total: of a frame.
        stages: of the network in their order, and what surrounds it.
        operations: of the graph.
        stage_gmac: multiply-accumulates, in 1e9, of each stage that has any; the mean of the clouds.
        operation_gmac: the same of operations.
        graph: of a frame, what the executor takes for the graph.
        kernels: of that, inside kernels and dense engines; None on a GPU.
        overhead: of that, the rest: Python and memory.
    """

    total: LatencySummary
    stages: Mapping[str, LatencySummary]
    operations: Mapping[str, LatencySummary]
    stage_gmac: Mapping[str, float]
    operation_gmac: Mapping[str, float]
    graph: LatencySummary
    kernels: LatencySummary | None
    overhead: LatencySummary | None

    @property
    def overhead_share(self) -> float | None:
        """Overhead beside the time inside kernels and dense engines, at the medians; None on a GPU."""
        if self.overhead is None or self.kernels is None:
            return None
        return self.overhead.p50 / self.kernels.p50


def warm_up(engine: NativeEngine[Any, Any], clouds: Clouds, frames: int) -> None:
    """Run each cloud at least once: the first frames allocate memory, and choose how a GPU computes layers."""
    for number in range(max(frames, len(clouds))):
        engine.warm_up(Frame(PointCloud(clouds[number % len(clouds)])))


def run_repeatedly(
    engine: NativeEngine[Any, Any], clouds: Clouds, rounds: Iterable[int], on_gpu: bool = False
) -> list[Sample]:
    """Run clouds in turn.

    Args:
        engine: loaded and warm.
        clouds: float32 [N, columns that the network takes] each.
        rounds: the numbers of the frames.
        on_gpu: whether calls of kernels only start them, so that their times say nothing.
    """
    regions = [one.name for one in engine.executor.checked.operations if one.op == "dense_region"]
    try:
        return [_run(engine, clouds, number % len(clouds), regions, on_gpu) for number in rounds]
    finally:
        engine.executor.watch = None


def _run(engine: NativeEngine[Any, Any], clouds: Clouds, cloud: int, regions: Sequence[str], on_gpu: bool) -> Sample:
    frame = Frame(PointCloud(clouds[cloud]))
    engine.executor.watch = watch = RunTimes()
    start_s = time.perf_counter()
    part_ms = engine.forward(frame).stage_ms
    total_ms = (time.perf_counter() - start_s) * 1e3
    kernels_ms = None if on_gpu else watch.kernels_ms + sum(part_ms[name] for name in regions)
    return Sample(cloud, total_ms, part_ms, watch.total_ms, kernels_ms)


def summarize_samples(graph: CheckedGraph, samples: Sequence[Sample], costs: Sequence[FrameCosts]) -> Figures:
    """Turn samples into percentiles.

    Args:
        graph: of the bundle.
        samples: at least one.
        costs: of each cloud.
    """
    stage_of = {operation.name: operation.stage for operation in graph.operations}
    by_part: dict[str, list[float]] = {}
    stages: dict[str, list[float]] = {}
    for sample in samples:
        for name, duration_ms in sample.part_ms.items():
            by_part.setdefault(name, []).append(duration_ms)
        for stage, duration_ms in _stage_ms(sample, stage_of).items():
            stages.setdefault(stage, []).append(duration_ms)
    gmac = {
        name: float(np.mean([one.multiplications[name] for one in costs])) / 1e9 for name in costs[0].multiplications
    }
    return Figures(
        total=summarize([sample.total_ms for sample in samples]),
        stages={stage: summarize(found) for stage, found in stages.items()},
        operations={name: summarize(found) for name, found in by_part.items() if name in stage_of},
        stage_gmac=by_stage(graph, gmac),
        operation_gmac=gmac,
        graph=summarize([sample.graph_ms for sample in samples]),
        kernels=_summary([one.kernels_ms for one in samples if one.kernels_ms is not None]),
        overhead=_summary([one.graph_ms - one.kernels_ms for one in samples if one.kernels_ms is not None]),
    )


def _summary(samples_ms: Sequence[float]) -> LatencySummary | None:
    return summarize(samples_ms) if samples_ms else None


def _stage_ms(sample: Sample, stage_of: Mapping[str, str]) -> dict[str, float]:
    """Times of stages; a part that belongs to no stage is one of its own, and the rest is "other"."""
    stages: dict[str, float] = {}
    for name, duration_ms in sample.part_ms.items():
        stage = stage_of.get(name, name)
        stages[stage] = stages.get(stage, 0.0) + duration_ms
    return {**stages, "other": max(sample.total_ms - sum(stages.values()), 0.0)}
