"""A small point-voxel U-Net, run by the executor and by the plain PyTorch that says what its operations mean."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch

from perception.bundle.graph import parse_graph
from perception.bundle.operations import check_graph
from perception.ops import reference
from perception.runtime import StageTimer
from perception.runtime.executor import GraphExecutor, RunTimes
from perception.runtime.place import HOST
from perception.runtime.steps import Setting

RNG = np.random.default_rng(0)
CHANNELS = 8

TENSORS = {
    "stem": RNG.normal(size=(27, 4, CHANNELS)),
    "down": RNG.normal(size=(8, CHANNELS, CHANNELS)),
    "inner": RNG.normal(size=(27, CHANNELS, CHANNELS)) / 5,
    "up": RNG.normal(size=(8, CHANNELS, CHANNELS)),
    "mix": RNG.normal(size=(2 * CHANNELS, CHANNELS)),
    "point.weight": RNG.normal(size=(CHANNELS, CHANNELS)),
    "point.bias": RNG.normal(size=CHANNELS),
    "head": RNG.normal(size=(5, CHANNELS)),
}
TENSORS = {name: tensor.astype(np.float32) for name, tensor in TENSORS.items()}


def step(name: str, op: str, inputs: dict[str, str], outputs: dict[str, str] | str, **values: Any) -> dict[str, Any]:
    made = {"features": outputs} if isinstance(outputs, str) else outputs
    return {"name": name, "op": op, "stage": "net", "inputs": inputs, "outputs": made, **values}


RELU = {"relu": True}
OPERATIONS = [
    step("t1", "submanifold_table", {"coords": "coords"}, {"table": "t1"}),
    step(
        "stem",
        "sparse_convolution",
        {"features": "features", "table": "t1"},
        "x0",
        weights={"kernel": "stem"},
        attributes=RELU,
    ),
    step(
        "coarser",
        "downsample",
        {"coords": "coords"},
        {"coords": "c2", "parent": "parent", "offset": "offset"},
        attributes={"rows": "voxels/2"},
    ),
    step("children", "strided_table", {"parent": "parent", "offset": "offset", "coords": "c2"}, {"table": "d1"}),
    step("t2", "submanifold_table", {"coords": "c2"}, {"table": "t2"}),
    step("down", "sparse_convolution", {"features": "x0", "table": "d1"}, "x1", weights={"kernel": "down"}),
    step(
        "inner",
        "sparse_convolution",
        {"features": "x1", "table": "t2", "residual": "x1"},
        "x2",
        weights={"kernel": "inner"},
        attributes=RELU,
    ),
    step(
        "up",
        "inverse_convolution",
        {"features": "x2", "parent": "parent", "offset": "offset"},
        "x3",
        weights={"kernel": "up"},
    ),
    step("join", "concatenate", {"a": "x3", "b": "x0"}, "x4"),
    step("mix", "linear", {"features": "x4"}, "x5", weights={"kernel": "mix"}, attributes=RELU),
    step(
        "corners",
        "trilinear_table",
        {"points": "coords", "coords": "c2"},
        {"rows": "r", "weights": "w"},
        attributes={"stride": 2},
    ),
    step("read", "devoxelize", {"features": "x2", "rows": "r", "weights": "w"}, "p0"),
    step(
        "point",
        "linear",
        {"features": "p0", "residual": "x5"},
        "p1",
        weights={"weight": "point.weight", "bias": "point.bias"},
        attributes=RELU,
    ),
    step("same", "take_rows", {"values": "parent", "rows": "first"}, {"values": "ancestors"}),
    step("mean", "scatter_mean", {"features": "p1", "rows": "ancestors", "coords": "c2"}, "m"),
    step("spread", "devoxelize", {"features": "m", "rows": "r", "weights": "w"}, "p2"),
    step("sum", "add", {"a": "p1", "b": "p2"}, "p3", attributes=RELU),
    step("head", "linear", {"features": "p3"}, "y", weights={"weight": "head"}),
]
GRAPH = {
    "inputs": {
        "coords": {"dtype": "int32", "shape": ["voxels/1", 4]},
        "features": {"dtype": "float32", "shape": ["voxels/1", 4]},
        "first": {"dtype": "int32", "shape": ["voxels/1"]},
    },
    "outputs": {"scores": "y"},
    "operations": OPERATIONS,
}


def made_up_frame(voxels: int, seed: int = 1) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    coords = np.unique(rng.integers(0, 12, (voxels, 3)), axis=0)
    coords = np.concatenate([np.zeros((len(coords), 1), int), rng.permutation(coords)], axis=1).astype(np.int32)
    features = rng.normal(size=(len(coords), 4)).astype(np.float32)
    return {"coords": coords, "features": features, "first": np.arange(len(coords), dtype=np.int32)}


def plain(frame: dict[str, np.ndarray]) -> dict[str, torch.Tensor]:
    """The same in PyTorch, in double."""
    w = {name: torch.from_numpy(tensor).double() for name, tensor in TENSORS.items()}
    coords, features = torch.from_numpy(frame["coords"]), torch.from_numpy(frame["features"]).double()
    c2, parent, offset = reference.downsample(coords)
    t1, t2 = reference.submanifold_table(coords), reference.submanifold_table(c2)
    d1 = reference.strided_table(parent, offset, len(c2))
    x0 = reference.sparse_convolution(features, t1, w["stem"]).relu()
    x1 = reference.sparse_convolution(x0, d1, w["down"])
    x2 = (reference.sparse_convolution(x1, t2, w["inner"]) + x1).relu()
    x3 = reference.inverse_convolution(x2, parent, offset, w["up"])
    x5 = (torch.cat([x3, x0], 1) @ w["mix"]).relu()
    rows, weights = reference.trilinear_table(coords.float(), c2, 2)
    p0 = reference.devoxelize(x2, rows, weights.double())
    p1 = (p0 @ w["point.weight"].T + w["point.bias"] + x5).relu()
    mean = reference.scatter_mean(p1, parent, len(c2))
    p3 = (p1 + reference.devoxelize(mean, rows, weights.double())).relu()
    return {"x2": x2, "x5": x5, "p1": p1, "m": mean, "t2": t2, "scores": p3 @ w["head"].T}


def executor_of(values: dict[str, Any] = GRAPH, threads: int = 1) -> GraphExecutor:
    shapes = {name: tensor.shape for name, tensor in TENSORS.items()}
    checked = check_graph(parse_graph(values, "graph.json"), shapes, "graph.json")
    return GraphExecutor(checked, Setting(TENSORS, HOST, threads, {}))


def assert_close(found: Any, expected: torch.Tensor, tolerance: float = 1e-5) -> None:
    np.testing.assert_allclose(found, expected.numpy(), rtol=0, atol=tolerance * float(expected.abs().max()))


@pytest.mark.parametrize("threads", [1, 2])
def test_every_value_is_what_pytorch_computes(threads: int) -> None:
    frame = made_up_frame(600)
    expected = plain(frame)
    found = executor_of(threads=threads).run(frame, keep=[name for name in expected if name != "scores"])
    assert set(found) == set(expected)
    for name, value in expected.items():
        assert_close(found[name], value)


def test_frames_of_any_size_follow_each_other() -> None:
    executor = executor_of()
    for number, voxels in enumerate([40, 900, 1, 300, 1200, 40]):
        frame = made_up_frame(voxels, seed=number)
        assert_close(executor.run(frame)["scores"], plain(frame)["scores"])


def test_memory_is_shared_between_values() -> None:
    executor = executor_of()
    frame = made_up_frame(1000)
    executor.run(frame)
    alone = sum(4 * CHANNELS * len(frame["coords"]) for _ in ("x0", "x3", "x4", "x4", "x5", "p0", "p1", "p2", "p3"))
    assert 0 < executor.arena_bytes < alone


def test_inputs_are_not_written_to() -> None:
    frame = made_up_frame(300)
    before = {name: array.copy() for name, array in frame.items()}
    for array in frame.values():
        array.flags.writeable = False
    executor_of().run(frame)
    for name, array in frame.items():
        np.testing.assert_array_equal(array, before[name])


def test_stages_are_timed_only_when_asked() -> None:
    executor, frame = executor_of(), made_up_frame(100)
    timer = StageTimer()
    executor.run(frame, timer)
    assert list(timer.stage_ms) == ["maps", "network"]
    detailed = StageTimer()
    executor.run(frame, detailed, per_operation=True)
    assert set(detailed.stage_ms) == {operation["name"] for operation in OPERATIONS}


def test_tables_come_first_however_the_file_orders_them() -> None:
    names = [operation.name for operation in executor_of().checked.operations]
    assert set(names[:6]) == {"t1", "coarser", "children", "t2", "corners", "same"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"features": None}, "the input 'features' is missing"),
        ({"features": np.zeros((7, 4), np.float32)}, "'features' has the shape"),
        ({"features": np.zeros((100, 3), np.float32)}, "'features' has the shape"),
        ({"coords": np.zeros(4, np.int32)}, "'coords' has the shape"),
    ],
)
def test_wrong_inputs_are_refused(change: dict[str, Any], message: str) -> None:
    frame = {**made_up_frame(100), **change}
    with pytest.raises(ValueError, match=message):
        executor_of().run({name: array for name, array in frame.items() if array is not None})


def test_half_precision_between_casts() -> None:
    operations = [dict(operation) for operation in OPERATIONS]
    for operation in operations:
        if operation["name"] in ("down", "inner"):
            operation["dtype"] = "float16"
    down = next(index for index, operation in enumerate(operations) if operation["name"] == "down")
    operations[down] |= {"inputs": {"features": "x0h", "table": "d1"}}
    operations.insert(down, step("to_half", "cast", {"features": "x0"}, "x0h", dtype="float16"))
    inner = next(index for index, operation in enumerate(operations) if operation["name"] == "inner")
    operations[inner] |= {"outputs": {"features": "x2h"}}
    operations.insert(inner + 1, step("to_single", "cast", {"features": "x2h"}, "x2"))
    frame = made_up_frame(600)
    found = executor_of(GRAPH | {"operations": operations}).run(frame, keep=["x0h", "x2"])
    assert found["x0h"].dtype == np.float16
    assert found["x2"].dtype == np.float32
    assert_close(found["scores"], plain(frame)["scores"], 1e-2)


def test_executors_run_side_by_side_in_threads() -> None:
    frames = [made_up_frame(800, seed) for seed in range(4)]
    expected = [executor_of().run(frame)["scores"].copy() for frame in frames]

    def run_often(frame: dict[str, np.ndarray]) -> list[np.ndarray]:
        executor = executor_of()
        return [executor.run(frame)["scores"].copy() for _ in range(20)]

    with ThreadPoolExecutor(len(frames)) as pool:
        for scores, wanted in zip(pool.map(run_often, frames), expected, strict=True):
            assert all(np.array_equal(one, wanted) for one in scores)


def test_a_watched_run_adds_up_its_times() -> None:
    executor, inputs = executor_of(), made_up_frame(200)
    expected = executor.run(inputs)["scores"].copy()
    executor.watch = RunTimes()
    timer = StageTimer()
    for _ in range(2):
        assert np.array_equal(executor.run(inputs, timer)["scores"], expected)
    assert 0 < executor.watch.kernels_ms < sum(timer.stage_ms.values()) < executor.watch.total_ms
    assert list(timer.stage_ms) == [operation.name for operation in executor.checked.operations]
