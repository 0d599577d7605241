"""FlatFormer in the executor, beside FlatFormer in PyTorch."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch

from perception.bundle.detection import FlatFormerSettings
from perception.bundle.operations import check_graph, multiplications
from perception.export.flatformer import lower_flatformer
from perception.export.map_detector import MAPS
from perception.golden.cases import load_case
from perception.models.flatformer import FlatFormer
from perception.nn.pillar_backends import REFERENCE
from perception.runtime.dense.region import load_region
from perception.runtime.executor import GraphExecutor
from perception.runtime.place import HOST
from perception.runtime.steps import Setting
from tests.models.test_flatformer import SMALL, cloud


def executor_of(network: FlatFormer, folder: Path) -> GraphExecutor:
    lowered = lower_flatformer(network)
    for file, content in lowered.regions.items():
        (folder / file).write_bytes(content)
    tensors = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    checked = check_graph(lowered.graph, {name: array.shape for name, array in tensors.items()}, "graph.json")
    regions = {file: load_region(folder / file, "cpu", 1) for file in lowered.regions}
    return GraphExecutor(checked, Setting(tensors, HOST, 1, regions))


def drawn_network(settings: FlatFormerSettings) -> FlatFormer:
    """A network whose norms do something."""
    torch.manual_seed(1)
    network = FlatFormer(settings, 2).eval()
    for name, tensor in network.state_dict().items():
        if name.endswith(("running_var", "norm1.weight", "norm2.weight", "norm.weight")):
            torch.nn.init.uniform_(tensor, 0.5, 1.5)
        elif name.endswith(("running_mean", "bias")):
            torch.nn.init.normal_(tensor, 0, 0.1)
    return network


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"window": 3, "group_size": 5},
        {"point_layers": (16,), "drop_first": False},
        {"blocks": 0},
        {"block": "lite"},
        {"block": "lite", "kernel_size": 31, "window": 3, "group_size": 5},
    ],
)
@pytest.mark.parametrize("points", [0, 1, 40, 600])
def test_the_executor_computes_what_pytorch_does(tmp_path: Path, changes: dict[str, object], points: int) -> None:
    network = drawn_network(SMALL.model_copy(update=changes))
    found = executor_of(network, tmp_path).run({"points": cloud(points).numpy()})["maps"]
    with torch.inference_mode():
        maps = network([cloud(points)], REFERENCE)
    expected = torch.cat([maps[name] for name in MAPS], 1).numpy()
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("block", ["plain", "lite"])
@pytest.mark.parametrize(("blocks", "channels", "group_size"), list(itertools.product((1, 2), (16, 24), (4, 9))))
def test_every_choice_of_a_search_deploys(
    tmp_path: Path, blocks: int, channels: int, group_size: int, block: str
) -> None:
    choice = {"blocks": blocks, "channels": channels, "group_size": group_size, "block": block}
    settings = FlatFormerSettings.model_validate(SMALL.model_dump() | choice | {"point_layers": (channels,)})
    network, points = drawn_network(settings), cloud(300)
    executor = executor_of(network, tmp_path)
    last = executor.checked.operations[-3].outputs["features"]
    assert last.startswith(f"middle_encoder.block_list.{blocks - 1}.")
    found = executor.run({"points": points.numpy()}, keep=[last])[last]
    with torch.inference_mode():
        expected = network.encode([points], REFERENCE).features[-1].numpy()
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-6 * np.abs(expected).max())


def test_the_official_detector_on_a_real_cloud(shared: Path, tmp_path: Path) -> None:
    case = load_case(shared / "golden" / "flatformer" / "encoder", shared)
    network = FlatFormer(FlatFormerSettings(), 3).eval()
    weights = {name: torch.from_numpy(np.array(array)) for name, array in case.weights().items()}
    network.load_state_dict(weights, strict=False)
    points, rows = case.inputs["points_1"], case.outputs["rows"]
    first = int((case.outputs["coords"][:, 0] == 0).sum())
    executor = executor_of(network, tmp_path)
    last = executor.checked.operations[-3].outputs["features"]
    found = executor.run({"points": points}, keep=[last])[last]
    # Batch elements do not meet, so that the second of two clouds alone gives the same.
    own = rows >= first
    expected = case.outputs["block_1"][own]
    assert np.linalg.norm(found[rows[own] - first] - expected) < 1e-4 * np.linalg.norm(expected)


def counted(settings: FlatFormerSettings) -> dict[str, int]:
    """The multiplications of a cloud of 14,400 pillars, by operation."""
    network = FlatFormer(settings, 3)
    lowered = lower_flatformer(network)
    shapes = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    checked = check_graph(lowered.graph, shapes, "graph.json")
    counts = {"points": 100_000, "returns": 100_000, "pillars": 14_400, "bounds": 14_401, "slots": 14_400}
    return multiplications(checked, shapes, counts)


def test_a_lite_block_multiplies_less() -> None:
    layers = {}
    for block in ("plain", "lite"):
        costs = counted(FlatFormerSettings(block=block))
        own = [name for name in costs if name.startswith("middle_encoder.block_list.0.block.0.")]
        layers[block] = sum(costs[name] for name in own)
    channels, hidden, group, taps = 128, 256, 144, 9
    feed_forward = 2 * channels * hidden
    assert layers["plain"] == 14_400 * (4 * channels**2 + 2 * group * channels + feed_forward)
    half = channels // 2
    projections = 3 * half**2 + 2 * half**2 + channels**2
    assert layers["lite"] == 14_400 * (projections + 2 * group * half + taps * half + feed_forward)


def test_arithmetic_is_counted() -> None:
    costs = counted(FlatFormerSettings())
    name = "middle_encoder.block_list.1.block.3"
    assert costs[f"{name}.attention"] == 14_400 * 144 * 128 * 2
    assert costs[f"{name}.queries_keys"] == 14_400 * 128 * 256
    first = 468 * 468 * 9 * 128 * 64
    assert costs["dense_0"] > 10 * first
