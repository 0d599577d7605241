"""Engines of bundles with a graph: NumPy, our kernels and dense engines; no training framework."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from perception.bundle.format import BundleDescription, Description, PvcnnSettings
from perception.bundle.loading import Bundle, load_bundle
from perception.ops import memory
from perception.ops.arrays import Array
from perception.runtime.dense.region import load_region
from perception.runtime.dense.sizes import region_sizes
from perception.runtime.device.place import open_place
from perception.runtime.executor import GraphExecutor
from perception.runtime.labellers import BlockLabeller, PointLabeller, VoxelLabeller, label_frame, made_up_frame
from perception.runtime.place import HOST, Place
from perception.runtime.region_checks import check_regions
from perception.runtime.steps import Setting
from perception.runtime.timing import StageTimer
from perception.types import Frame, LabelledCloud

if TYPE_CHECKING:
    from perception.runtime.dense.engines import EngineOptions

#: Its name in bundle.yaml.
NATIVE = "native"


Result = TypeVar("Result")


class NativeEngine(ABC, Generic[Description, Result]):
    """Turns frames into results. Several engines may run in one process, each called by one thread at a time.

    Attributes:
        description: what the bundle's bundle.yaml says.
        executor: runs its graph.
    """

    def __init__(
        self,
        folder: Path,
        description: Description,
        device: str = "cpu",
        threads: int | None = None,
        options: EngineOptions | None = None,
    ) -> None:
        """Load a bundle.

        Args:
            folder: the bundle.
            description: what its bundle.yaml says.
            device: where it runs: cpu, cuda, or cuda:N for the GPU number N.
            threads: CPU threads, by default OMP_NUM_THREADS, else all.
            options: how engines for a GPU are built and where they are kept.

        Raises:
            ConfigurationError: a bundle that is damaged or does not fit together, or a device that is not there.
        """
        bundle = load_bundle(folder, description)
        self.description = description
        self._place = open_place(device)
        self._threads = threads
        try:
            self.executor = load_executor(bundle, device, threads, self._place, options)
        except BaseException:
            self._place.close()
            raise

    def warm_up(self, frame: Frame | None = None) -> None:
        """Run a frame once, by default a made-up one; on a GPU, kinds of layers that are new to it are measured."""
        tuner = self._place.tuner
        if tuner is not None:
            tuner.measures = True
        try:
            self.forward(frame or self.made_up_frame())
        finally:
            if tuner is not None:
                tuner.measures = False

    def update(self, calibration: Any) -> None:
        """Take new calibration of the sensors; networks of one LiDAR have none."""

    @abstractmethod
    def forward(self, frame: Frame) -> Result:
        """Run the network on a frame; see `perception.runtime.Engine.forward`."""

    @abstractmethod
    def made_up_frame(self) -> Frame:
        """A frame to warm up with."""

    def close(self) -> None:
        """Free the network."""
        self.executor.close()
        self._place.close()
        memory.release()  # buffers of its sizes, which the next network may never ask for


class NativeSegmentationEngine(NativeEngine[BundleDescription, LabelledCloud]):
    """Labels every point of a frame."""

    def forward(self, frame: Frame) -> LabelledCloud:
        """Label a frame; see `perception.runtime.Engine.forward`."""
        labeller = make_labeller(self.executor, self.description, self._threads, self._place)
        return label_frame(labeller, frame, self._place.timer())

    def made_up_frame(self) -> Frame:
        """A frame to warm up with."""
        return made_up_frame()


def load_executor(
    bundle: Bundle[Any],
    device: str = "cpu",
    threads: int | None = None,
    place: Place | None = None,
    options: EngineOptions | None = None,
) -> GraphExecutor:
    """Prepare the graph of a bundle, by default in a place of its own on the device."""
    place = place or open_place(device)
    sizes = region_sizes(bundle)
    regions = {
        file: place.prepare_region(
            load_region(bundle.folder / file, device, threads, bundle.contents[file], sizes, options), file
        )
        for file in dict.fromkeys(bundle.graph.regions())
    }
    check_regions(bundle.graph, regions, bundle.folder)
    return GraphExecutor(bundle.graph, Setting(bundle.tensors, place, threads, regions, place.tuner))


class GraphRunner(Protocol):
    """What runs a graph, or stands for it."""

    def run(self, inputs: Mapping[str, Array], timer: StageTimer | None = None) -> dict[str, Array]:
        """See `GraphExecutor.run`."""


def make_labeller(
    executor: GraphRunner, description: BundleDescription, threads: int | None = None, place: Place = HOST
) -> PointLabeller:
    """Surround a graph with what its network takes."""
    if isinstance(description.network, PvcnnSettings):

        def score_points(points: Array, timer: StageTimer) -> Array:
            return executor.run({"points": points}, timer)["scores"]

        return BlockLabeller(score_points, description.network.blocks, place, threads)

    def score_voxels(coords: Array, features: Array, timer: StageTimer) -> Array:
        return executor.run({"coords": coords, "features": features}, timer)["scores"]

    return VoxelLabeller(score_voxels, description.voxel_size_m, description.capacity_voxels, place, threads)
