"""What every executor of a bundle looks like from outside, and how the right one is found."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

from perception.bundle.files import BundleFiles
from perception.bundle.format import DESCRIPTION_FILE, check_weights_file, read_any_description
from perception.configuration import ConfigurationError
from perception.paths import find_bundle
from perception.runtime.native import NATIVE, NativeEngine, NativeSegmentationEngine
from perception.runtime.native_detection import NativeDetectionEngine
from perception.types import Frame

if TYPE_CHECKING:
    from perception.runtime.dense.engines import EngineOptions

Task: TypeAlias = Literal["segmentation", "detection"]
#: Task of a bundle -> the engine of this package, and the entry points of others.
NATIVE_ENGINES: Mapping[str, type[NativeEngine[Any, Any]]] = {
    "segmentation": NativeSegmentationEngine,
    "detection": NativeDetectionEngine,
}
ENTRY_POINT_GROUPS = {"segmentation": "perception.engines", "detection": "perception.detection_engines"}


class Engine(Protocol):
    """A loaded network. One thread at a time calls it; nodes, replays and benchmarks all call the same `forward`.

    Attributes:
        description: what the bundle's bundle.yaml says; which kind, its task decides.
    """

    description: Any

    def warm_up(self) -> None:
        """Run once on made-up data, so that the first real frame is not the slow one."""

    def update(self, calibration: Any) -> None:
        """Take new calibration of the sensors, from the next frame on."""

    def forward(self, frame: Frame) -> Any:
        """Run the network on a frame: LabelledCloud for segmentation, DetectedObjects for detection.

        An empty cloud gives an empty result; the input is never written to.

        Raises:
            ValueError: the cloud is not float32 with the columns that the network takes (segmentation: 4; detection:
                `description.network.point_channels`), or holds non-finite values.
        """

    def close(self) -> None:
        """Free what the engine holds; it cannot be used afterwards."""


def load_engine(
    bundle: str | Path,
    device: str = "cpu",
    threads: int | None = None,
    options: EngineOptions | None = None,
    task: Task | None = None,
) -> Engine:
    """Load a bundle with the executor that its bundle.yaml names.

    "native" is the one of this package; others register under the entry point groups ``perception.engines``
    (segmentation) and ``perception.detection_engines``, so that this module imports none of them (the import rule: the
    runtime knows no training framework).

    Args:
        bundle: its folder, or its name among the shipped ones.
        device: where it runs.
        threads: CPU threads; by default OMP_NUM_THREADS, else all.
        options: how engines for a GPU are built and where they are kept.
        task: the only task that will do; None: any.

    Raises:
        ConfigurationError: no such bundle, one of another task, a damaged one, or an executor that is not installed.
    """
    folder = find_bundle(bundle)
    files = BundleFiles(folder, DESCRIPTION_FILE)
    description = read_any_description(files)
    if task not in (None, description.task):
        raise ConfigurationError(
            f"{folder / DESCRIPTION_FILE}: the network is for {description.task}; name a bundle for {task}"
        )
    if description.engine == NATIVE:  # which checks the weights as it reads them, and reads them once
        return NATIVE_ENGINES[description.task](folder, description, device, threads, options)
    engine_class = _engine_class(description.engine, description.task, folder)
    check_weights_file(files, description)
    return engine_class(folder, description, device, threads)


def _engine_class(name: str, task: str, folder: Path) -> Callable[..., Engine]:
    """An engine of another package."""
    installed = {point.name: point for point in entry_points(group=ENTRY_POINT_GROUPS[task])}
    if name not in installed:
        known = ", ".join(sorted({NATIVE, *installed}))
        raise ConfigurationError(f"{folder / DESCRIPTION_FILE}: engine '{name}' is not installed (installed: {known})")
    found: Callable[..., Engine] = installed[name].load()
    return found
