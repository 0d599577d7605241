"""The engine of bundles with a graph: NumPy, our kernels and dense engines; no training framework."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from perception.bundle.format import BundleDescription, PvcnnSettings
from perception.bundle.loading import Bundle, load_bundle
from perception.configuration import ConfigurationError
from perception.ops.arrays import Array
from perception.runtime.dense.region import load_region
from perception.runtime.dense.sizes import region_sizes
from perception.runtime.executor import GraphExecutor
from perception.runtime.labellers import BlockLabeller, PointLabeller, VoxelLabeller
from perception.runtime.operations import Setting
from perception.runtime.place import HOST
from perception.runtime.region_checks import check_regions
from perception.runtime.timing import StageTimer
from perception.types import Frame, LabelledCloud, PointCloud

#: Its name in bundle.yaml.
NATIVE = "native"
WARM_UP_POINTS = 20_000


class NativeSegmentationEngine:
    """Labels every point of a frame. Several engines may run in one process, each called by one thread at a time.

    Attributes:
        description: what the bundle's bundle.yaml says.
        executor: runs its graph.
    """

    def __init__(
        self, folder: Path, description: BundleDescription, device: str = "cpu", threads: int | None = None
    ) -> None:
        """Load a bundle.

        Args:
            folder: the bundle.
            description: what its bundle.yaml says.
            device: where it runs.
            threads: CPU threads, by default OMP_NUM_THREADS, else all.

        Raises:
            ConfigurationError: a bundle that is damaged or does not fit together, or another device.
        """
        if device != "cpu":
            raise ConfigurationError(f"device '{device}': bundles run on 'cpu' only so far")
        bundle = load_bundle(folder, description)
        self.description = description
        self.executor = load_executor(bundle, device, threads)
        self._labeller = make_labeller(self.executor, description, threads)

    def warm_up(self) -> None:
        """Label a made-up cloud once."""
        points = np.random.default_rng(0).uniform(-20, 20, (WARM_UP_POINTS, 4)).astype(np.float32)
        self.forward(Frame(PointCloud(points)))

    def update(self, calibration: Any) -> None:
        """Take new calibration of the sensors; networks of one LiDAR have none."""

    def forward(self, frame: Frame) -> LabelledCloud:
        """Label a frame; see `perception.runtime.Engine.forward`."""
        points = frame.cloud.points
        if points.ndim != 2 or points.shape[1] != 4 or points.dtype != np.float32:
            raise ValueError(f"points are {points.dtype} {list(points.shape)}, expected float32 [N, 4]")
        if not len(points):
            return LabelledCloud(np.empty(0, np.uint8), np.empty(0, np.float32))
        timer = StageTimer()
        class_ids, probabilities = self._labeller.label(points, timer)
        return LabelledCloud(class_ids, probabilities, timer.stage_ms)

    def close(self) -> None:
        """Free the network."""
        self.executor.close()
        del self._labeller


def load_executor(bundle: Bundle, device: str = "cpu", threads: int | None = None) -> GraphExecutor:
    """Prepare the graph of a bundle."""
    sizes = region_sizes(bundle)
    regions = {
        file: load_region(bundle.folder / file, device, threads, bundle.contents[file], sizes)
        for file in dict.fromkeys(bundle.graph.regions())
    }
    check_regions(bundle.graph, regions, bundle.folder)
    return GraphExecutor(bundle.graph, Setting(bundle.tensors, HOST, threads, regions))


class GraphRunner(Protocol):
    """What runs a graph, or stands for it."""

    def run(self, inputs: Mapping[str, Array], timer: StageTimer | None = None) -> dict[str, Array]:
        """See `GraphExecutor.run`."""


def make_labeller(executor: GraphRunner, description: BundleDescription, threads: int | None = None) -> PointLabeller:
    """Surround a graph with what its network takes."""
    if isinstance(description.network, PvcnnSettings):

        def score_points(points: Array, timer: StageTimer) -> Array:
            return executor.run({"points": points}, timer)["scores"]

        return BlockLabeller(score_points, description.network.blocks, threads=threads)

    def score_voxels(coords: Array, features: Array, timer: StageTimer) -> Array:
        return executor.run({"coords": coords, "features": features}, timer)["scores"]

    return VoxelLabeller(score_voxels, description.voxel_size_m, description.capacity_voxels, threads=threads)
