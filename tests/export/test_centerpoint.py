"""CenterPoint in the executor, beside CenterPoint in PyTorch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from perception.bundle.index_checks import check_indices
from perception.bundle.operations import check_graph, multiplications
from perception.bundle.voxelnet import VoxelNetSettings
from perception.export.centerpoint import lower_centerpoint
from perception.export.map_detector import MAPS
from perception.golden.bevfusion import sweep
from perception.golden.cases import load_case
from perception.models.centerpoint import CenterPoint
from perception.nn.backends import REFERENCE
from perception.runtime.dense.region import load_region
from perception.runtime.executor import GraphExecutor
from perception.runtime.place import HOST
from perception.runtime.steps import Setting
from tests.models.test_centerpoint import SMALL, cloud, drawn_network


def executor_of(network: CenterPoint, folder: Path) -> GraphExecutor:
    lowered = lower_centerpoint(network)
    for file, content in lowered.regions.items():
        (folder / file).write_bytes(content)
    tensors = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    checked = check_graph(lowered.graph, {name: array.shape for name, array in tensors.items()}, "graph.json")
    check_indices(checked, "graph.json")
    regions = {file: load_region(folder / file, "cpu", 1) for file in lowered.regions}
    return GraphExecutor(checked, Setting(tensors, HOST, 1, regions))


@pytest.mark.parametrize("changes", [{}, {"voxels": 50, "voxel_points": 1}, {"blocks": (2, 0)}])
@pytest.mark.parametrize("points", [0, 1, 40, 600])
def test_the_executor_computes_what_pytorch_does(tmp_path: Path, changes: dict[str, object], points: int) -> None:
    network = drawn_network(SMALL.model_copy(update=changes))
    found = executor_of(network, tmp_path).run({"points": cloud(points).numpy()})["maps"]
    with torch.inference_mode():
        maps = network([cloud(points)], REFERENCE)
    expected = torch.cat([maps[name] for name in MAPS], 1).numpy()
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def test_frames_of_one_executor_do_not_meet(tmp_path: Path) -> None:
    executor = executor_of(drawn_network(), tmp_path)
    clouds = [cloud(count, count).numpy() for count in (600, 0, 40)]
    alone = [executor_of(drawn_network(), tmp_path).run({"points": points})["maps"].copy() for points in clouds]
    for points, expected in zip(clouds, alone, strict=True):
        np.testing.assert_array_equal(executor.run({"points": points})["maps"], expected)


def test_the_official_encoder_on_a_real_cloud(shared: Path, tmp_path: Path) -> None:
    case = load_case(shared / "golden" / "bevfusion" / "lidar_encoder", shared)
    settings = VoxelNetSettings(backbone_channels=(4,), backbone_layers=(0,), neck_channels=(4,), head_channels=4)
    network, prefix = CenterPoint(settings, 1).eval(), "encoders.lidar.backbone."
    weights = {name.removeprefix(prefix): torch.from_numpy(np.array(array)) for name, array in case.weights().items()}
    network.middle_encoder.load_state_dict(weights)
    bev = executor_of(network, tmp_path).run({"points": sweep(case, settings)}, keep=["map"])["map"]
    steps = tuple(slice(None, None, step) for step in case.spec.more["outputs"]["lidar_bev"]["steps"])
    found, expected = bev.transpose(0, 1, 3, 2)[steps], case.outputs["lidar_bev"]
    assert np.linalg.norm(found - expected) < case.tolerance * np.linalg.norm(expected)


def test_arithmetic_is_counted() -> None:
    network = drawn_network()
    shapes = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    checked = check_graph(lower_centerpoint(network).graph, shapes, "graph.json")
    counts = {"points": 600, "voxels/1": 400, "voxels/2": 200, "voxels/4": 150}
    counts |= {"pairs of neighbours_0": 1000, "pairs of neighbours_1": 900, "pairs of windows_0": 800}
    costs = multiplications(checked, shapes, counts | {"pairs of windows_1": 300})
    prefix = "middle_encoder."
    assert costs[f"{prefix}conv_input.0"] == 1000 * 4 * 4
    assert costs[f"{prefix}encoder_layers.encoder_layer1.1.0"] == 800 * 4 * 6
    assert costs[f"{prefix}conv_out.0"] == 300 * 6 * 5
    assert costs["dense_0"] > 16 * 12 * 9 * 10 * 8
