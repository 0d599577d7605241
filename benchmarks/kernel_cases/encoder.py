"""FlatFormer's encoder at its published sizes, from points to the map, run from its graph: beside PyTorch and limits.

PyTorch is given the pillars, the walks and the groups by the kernels, and its fused attention. A limit is what the
multiplications or the bytes of an operation take at the rates of this run; exponentials are not counted.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.kernel_cases import Case, Context
from benchmarks.kernel_cases.networks import frame_counts
from perception.bundle.detection import FlatFormerSettings
from perception.bundle.operations import arguments_of, check_graph, multiplications
from perception.export.flatformer import lower_flatformer
from perception.models.flatformer import FlatFormer
from perception.nn.pillar_backends import DIFFERENTIABLE
from perception.runtime import StageTimer
from perception.runtime.detections import points_in_range
from perception.runtime.executor import GraphExecutor
from perception.runtime.place import HOST
from perception.runtime.steps import Setting

#: Window, tokens of a group: of the official configuration, and of the paper.
GROUPS = ((13, 144), (9, 69))
LEAST_OVER_PYTORCH = 1.5
RUNS_OF_PARTS = 10


def drawn_encoder(settings: FlatFormerSettings) -> FlatFormer:
    """A detector whose point layers' statistics are not those of a fresh one."""
    torch.manual_seed(0)
    network = FlatFormer(settings, classes=3).eval()
    for layer in network.voxel_encoder.vfe_layers:
        torch.nn.init.uniform_(layer.norm.running_var, 0.5, 1.5)
        torch.nn.init.normal_(layer.norm.running_mean, 0, 0.1)
    return network


def make_executor(network: FlatFormer, threads: int) -> GraphExecutor:
    """The network's graph up to the map."""
    graph = lower_flatformer(network).graph
    graph = graph.model_copy(update={"operations": graph.operations[:-1], "outputs": {"map": "map"}})
    tensors = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    checked = check_graph(graph, {name: tensor.shape for name, tensor in tensors.items()}, "FlatFormer")
    return GraphExecutor(checked, Setting(tensors, HOST, threads, {}))


def cloud_for(context: Context, settings: FlatFormerSettings) -> np.ndarray:
    """The scan's points in the network's range, with as many features as it takes."""
    more = np.zeros((len(context.points), settings.point_channels - context.points.shape[1]), np.float32)
    return points_in_range(np.hstack([context.points, more]), settings.range_m)


def part_of(name: str) -> str:
    """Which part of the encoder an operation belongs to, by its name."""
    for parts in (("walk_",), ("groups",), ("position", "queries_keys", "values", "attention", "projection")):
        if any(part in name for part in parts):
            return next(part for part in parts if part in name).strip("_")
    return "points and pillars" if "vfe_layers" in name else name.split(".")[-1]


def limits_ms(context: Context, executor: GraphExecutor, inputs: dict[str, np.ndarray]) -> dict[str, float]:
    """What every operation needs at least on this cloud."""
    checked, counts = executor.checked, frame_counts(executor, inputs)
    costs = multiplications(checked, executor.shapes, counts)
    limits = {}
    for operation in checked.operations:
        given = arguments_of(operation, checked.specs, executor.shapes).inputs.values()
        specs = (*given, *(checked.specs[value] for value in operation.outputs.values()))
        moved_bytes = sum(spec.bytes(counts) for spec in specs)
        limits[operation.name] = context.limit_ms(2.0 * costs.get(operation.name, 0), moved_bytes)
    return limits


def fastest_parts_ms(executor: GraphExecutor, inputs: dict[str, np.ndarray]) -> dict[str, float]:
    """The fastest time of every operation."""
    fastest: dict[str, float] = {}
    for _ in range(RUNS_OF_PARTS):
        timer = StageTimer()
        executor.run(inputs, timer, per_operation=True)
        fastest = {name: min(ms, fastest.get(name, ms)) for name, ms in timer.stage_ms.items()}
    return fastest


def part_cases(context: Context, executor: GraphExecutor, inputs: dict[str, np.ndarray], size: int) -> list[Case]:
    """Each part of the encoder beside its limit."""
    limits, fastest = limits_ms(context, executor, inputs), fastest_parts_ms(executor, inputs)
    parts: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
    for name, ms in fastest.items():
        parts[part_of(name)][0] += ms
        parts[part_of(name)][1] += limits[name]
    return [
        Case(f"- {part}, groups of {size}", None, "limit", peer_ms=limit_ms, ours_ms=ours_ms)
        for part, (ours_ms, limit_ms) in parts.items()
    ]


def encoder_cases(context: Context, window: int, size: int) -> list[Case]:
    """The encoder beside PyTorch, and its parts beside their limits."""
    pillar_m = 1.6 if context.fast else 0.32
    range_m = (-75.2, -75.2, -2.0, 75.2, 75.2, 4.0) if context.fast else (-74.88, -74.88, -2.0, 74.88, 74.88, 4.0)
    settings = FlatFormerSettings(window=window, group_size=size, pillar_m=pillar_m, range_m=range_m)
    network = drawn_encoder(settings)
    executor = make_executor(network, context.threads)
    points = cloud_for(context, settings)
    inputs: dict[str, Any] = {"points": points}
    cloud = torch.from_numpy(points)

    def peer() -> Tensor:
        with torch.inference_mode():
            return network.encode([cloud], DIFFERENTIABLE).bev

    expected = peer().numpy()
    np.testing.assert_allclose(executor.run(inputs)["map"], expected, rtol=0, atol=1e-4 * np.abs(expected).max())
    pillars = frame_counts(executor, inputs)["pillars"]
    name = f"encoder, {pillars} pillars of {len(points)} points, groups of {size}"
    required = None if context.fast else LEAST_OVER_PYTORCH
    whole = Case(name, lambda: executor.run(inputs), "PyTorch, places found by the kernels", peer, required)
    return [whole, *part_cases(context, executor, inputs, size)]


def cases(context: Context) -> list[Case]:
    """Both published configurations."""
    return [case for window, size in GROUPS for case in encoder_cases(context, window, size)]
