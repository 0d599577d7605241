"""Time the native kernels on one sweep, beside what plain PyTorch needs for the same.

    python benchmarks/kernels.py [SCAN.bin] [--threads 2] [--voxel-size 0.2]

SCAN.bin is a KITTI scan (float32 x, y, z, intensity); without it a simulated HDL-64E sweep is timed. A figure is the
fastest of several runs, in milliseconds.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
import torch

from perception import ops
from perception.data.simulation import simulate_drive

LEVELS = 5
LAYERS = [(0, 16), (0, 24), (0, 32), (0, 64), (1, 32), (1, 64), (2, 64), (2, 128), (3, 128), (4, 128), (4, 256)]


def fastest_ms(call: Callable[[], object], runs: int = 10) -> float:
    """Run once to warm up, then several times."""
    call()
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return 1e3 * min(times)


def build_maps(coords: np.ndarray, threads: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Build what a U-Net of five levels needs: the voxels and neighbours of each, and the tables between them."""
    levels = []
    for level in range(LEVELS):
        levels.append((coords, ops.submanifold_table(coords, threads=threads)))
        if level < LEVELS - 1:
            coarse = ops.downsample(coords, threads)
            ops.strided_table(coarse.parent, coarse.offset, len(coarse.coords), threads)
            coords = coarse.coords
    return levels


def gather_multiply(
    features: torch.Tensor, pairs: list[tuple[torch.Tensor, torch.Tensor]], weight: torch.Tensor
) -> None:
    """Convolve in plain PyTorch with ready maps: gather, multiply, add."""
    result = torch.zeros(len(features), weight.shape[2])
    for k, (outputs, inputs) in enumerate(pairs):
        result.index_add_(0, outputs, features[inputs] @ weight[k])


def time_layer(table: np.ndarray, channels: int, threads: int) -> str:
    """Give one line of the report: forward, weight gradient, and forward in PyTorch."""
    generator = np.random.default_rng(0)
    features = generator.standard_normal((len(table), channels)).astype(np.float32)
    weight = generator.standard_normal((27, channels, channels)).astype(np.float32)
    outputs = [np.flatnonzero(table[:, k] >= 0) for k in range(27)]
    pairs = [(torch.from_numpy(rows), torch.from_numpy(table[rows, k]).long()) for k, rows in enumerate(outputs)]
    tensor, weights = torch.from_numpy(features), torch.from_numpy(weight)
    forward = fastest_ms(lambda: ops.sparse_convolution(features, table, weight, threads=threads))
    gradient = fastest_ms(lambda: ops.weight_gradient(features, features, table, threads=threads), 4)
    plain = fastest_ms(lambda: gather_multiply(tensor, pairs, weights), 4)
    rate = 2e-6 * sum(map(len, outputs)) * channels**2 / forward
    return (
        f"{channels:8} {len(table):8} {forward:9.2f} {rate:9.1f} {gradient:11.2f} {plain:9.2f} {plain / forward:6.1f}"
    )


def read_points(scan: str | None) -> np.ndarray:
    """The scan's points, float32 [N, 4], or those of a simulated sweep."""
    if scan is None:
        return next(simulate_drive(seed=1, sensor="hdl64e", frames=1)).frame.cloud.points
    return np.fromfile(scan, np.float32).reshape(-1, 4)


def main() -> None:
    """Print the report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scan", nargs="?")
    parser.add_argument("--threads", type=int, default=ops.default_threads())
    parser.add_argument("--voxel-size", type=float, default=0.2, help="metres")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    points = read_points(arguments.scan)
    coords = ops.voxelize(points, arguments.voxel_size).coords
    square = torch.randn(1024, 1024)
    rate = 2e-6 * 1024**3 / fastest_ms(lambda: square @ square)
    print(f"{ops.instruction_set()}, {arguments.threads} threads, large matrix product {rate:.0f} GFLOP/s")
    size = arguments.voxel_size
    print(f"voxelize {fastest_ms(lambda: ops.voxelize(points, size, threads=arguments.threads)):.2f} ms, ", end="")
    print(f"maps of {LEVELS} levels {fastest_ms(lambda: build_maps(coords, arguments.threads)):.2f} ms")
    print("channels   voxels        ms   GFLOP/s  gradient ms  torch ms  ratio")
    levels = build_maps(coords, arguments.threads)
    with torch.no_grad():
        for level, channels in LAYERS:
            print(time_layer(levels[level][1], channels, arguments.threads))


if __name__ == "__main__":
    main()
