"""What a bundle costs on a cloud, against counting by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from perception.bundle.loading import Bundle, load_bundle
from perception.runtime.inspection import FrameCosts, measure_costs
from perception.runtime.voxels import voxelize_frame
from tests.bundle.block_graphs import CHANNELS, RESOLUTION, write_block_network
from tests.bundle.detector_graphs import CHANNELS as WIDE
from tests.bundle.detector_graphs import EDGE_M, GROUP_SIZE, MAP_CHANNELS, POINT_CHANNELS, SIZE, write_detector
from tests.bundle.graphs import CLASSES, write_unet

WIDTH = 8


@pytest.fixture(scope="module")
def points() -> np.ndarray:
    return np.random.default_rng(0).uniform(-2, 2, (3000, 4)).astype(np.float32)


@pytest.fixture(scope="module")
def unet(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return load_bundle(write_unet(tmp_path_factory.mktemp("bundles") / "unet", WIDTH))


@pytest.fixture(scope="module")
def costs(unet: Bundle, points: np.ndarray) -> FrameCosts:
    return measure_costs(unet, points, threads=1)


def voxels(points: np.ndarray, size_m: float, level: int) -> np.ndarray:
    coords = voxelize_frame(points, size_m).coords[:, 1:]
    return np.unique(coords >> level, axis=0)


def neighbours(coords: np.ndarray) -> int:
    """Pairs of voxels that touch, in both orders, and each with itself."""
    cells = {tuple(cell) for cell in coords.tolist()}
    steps = np.stack(np.meshgrid(*[(-1, 0, 1)] * 3), -1).reshape(-1, 3)
    return sum(tuple(cell) in cells for step in steps for cell in (coords + step).tolist())


@pytest.mark.parametrize("level", range(3))
def test_voxels_and_pairs_of_levels(costs: FrameCosts, points: np.ndarray, level: int) -> None:
    coords = voxels(points, 0.2, level)
    (counts,) = costs.runs
    assert counts[f"voxels/{1 << level}"] == len(coords)
    assert counts[f"pairs of table{level}"] == neighbours(coords)
    if level:
        assert counts[f"pairs of children{level - 1}"] == counts[f"voxels/{1 << (level - 1)}"]


def test_arithmetic_of_stages(unet: Bundle, costs: FrameCosts) -> None:
    (counts,) = costs.runs
    fine, middle = counts["voxels/1"], counts["voxels/2"]
    assert costs.by_stage(unet.graph) == {
        "stem": counts["pairs of table0"] * 4 * WIDTH,
        "down1": (fine + counts["pairs of table1"]) * WIDTH**2,
        "down2": middle * WIDTH**2,
        "points": fine * WIDTH**2,
        "up1": middle * WIDTH**2 + middle * 2 * WIDTH**2,
        "up2": fine * WIDTH**2,
        "classifier": fine * WIDTH * len(CLASSES),
    }


def test_memory_of_parts(costs: FrameCosts) -> None:
    (counts,) = costs.runs
    kernels = (27 * 4 + 8 * WIDTH + 27 * WIDTH + 8 * WIDTH + WIDTH + 8 * WIDTH + 2 * WIDTH + 8 * WIDTH + 3) * WIDTH
    assert costs.memory.weights == 4 * kernels
    largest_table = 27 * 4 * counts["voxels/1"]
    assert costs.memory.tables > largest_table
    assert costs.memory.features >= 2 * 4 * WIDTH * counts["voxels/1"]
    assert costs.memory.regions == 0
    assert costs.memory.total == sum(vars(costs.memory).values())


def test_half_precision_takes_half_the_weights(tmp_path: Path, points: np.ndarray, costs: FrameCosts) -> None:
    half = measure_costs(load_bundle(write_unet(tmp_path, WIDTH, "float16")), points, threads=1)
    assert half.memory.weights * 2 == costs.memory.weights
    assert half.multiplications == costs.multiplications
    assert half.memory.features < 0.7 * costs.memory.features


def test_clouds_beyond_the_capacity_are_clipped(unet: Bundle, points: np.ndarray) -> None:
    few = unet.description.model_copy(update={"capacity_voxels": 100})
    clipped = measure_costs(Bundle(unet.folder, few, unet.graph, unet.tensors), points, threads=1)
    assert clipped.runs[0]["voxels/1"] == 100


def test_blocks_go_through_in_groups(tmp_path: Path, points: np.ndarray) -> None:
    bundle = load_bundle(write_block_network(tmp_path / "blocks"))
    spread = points * np.array([20, 20, 1, 1], np.float32)
    costs = measure_costs(bundle, spread, threads=1)
    units = [(run["blocks"], run["blocks"] * run["points"]) for run in costs.runs]
    blocks, cells = (sum(one) for one in zip(*units, strict=True))
    assert len(costs.runs) > 1
    assert costs.multiplications["points.region"] == cells * 7 * CHANNELS
    assert costs.multiplications["volume.region"] == blocks * 27 * CHANNELS**2 * RESOLUTION**3
    assert costs.memory.regions >= sum(file.stat().st_size for file in bundle.folder.glob("*.onnx"))


def test_points_that_are_no_numbers(unet: Bundle, points: np.ndarray) -> None:
    spoiled = points.copy()
    spoiled[3, 0] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        measure_costs(unet, spoiled, threads=1)


def test_a_detector(tmp_path: Path, points: np.ndarray) -> None:
    bundle = load_bundle(write_detector(tmp_path))
    wide = points * np.array([2, 2, 1, 1], np.float32)
    costs = measure_costs(bundle, wide, threads=1)
    (counts,) = costs.runs
    pillars = len(np.unique(np.floor(wide[:, :2] / EDGE_M), axis=0))
    assert (counts["points"], counts["returns"], counts["pillars"]) == (len(points), len(points), pillars)
    groups = -(-pillars // GROUP_SIZE)
    columns = POINT_CHANNELS + 6
    assert costs.by_stage(bundle.graph) == {
        "pillars": len(points) * (columns + WIDE) * WIDE + pillars * WIDE**2,
        "block": pillars * (4 + 2 * 2) * WIDE**2 + 2 * groups * GROUP_SIZE * GROUP_SIZE * WIDE,
        "head": 9 * WIDE * MAP_CHANNELS * SIZE**2,
    }
    assert costs.memory.features >= 4 * len(points) * (columns + WIDE)
    assert costs.memory.total == sum(vars(costs.memory).values())
