"""What every executor of a bundle looks like from outside, and how the right one is found."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from perception.bundle.files import BundleFiles
from perception.bundle.format import DESCRIPTION_FILE, BundleDescription, load_description, read_description
from perception.configuration import ConfigurationError
from perception.paths import find_bundle
from perception.runtime.native import NATIVE, NativeSegmentationEngine
from perception.types import Frame, LabelledCloud

if TYPE_CHECKING:
    from perception.runtime.dense.engines import EngineOptions

ENTRY_POINT_GROUP = "perception.engines"


class Engine(Protocol):
    """A loaded network. One thread at a time calls it; nodes, replays and benchmarks all call the same `forward`."""

    description: BundleDescription

    def warm_up(self) -> None:
        """Run once on made-up data, so that the first real frame is not the slow one."""

    def update(self, calibration: Any) -> None:
        """Take new calibration of the sensors, from the next frame on."""

    def forward(self, frame: Frame) -> LabelledCloud:
        """Label a frame. An empty cloud gives an empty result; the input is never written to.

        Raises:
            ValueError: the cloud is not float32 [N, 4] or holds non-finite values.
        """

    def close(self) -> None:
        """Free what the engine holds; it cannot be used afterwards."""


def load_engine(
    bundle: str | Path, device: str = "cpu", threads: int | None = None, options: EngineOptions | None = None
) -> Engine:
    """Load a bundle with the executor that its bundle.yaml names.

    "native" is the one of this package; others register under the entry point group ``perception.engines``, so that
    this module imports none of them (the import rule: the runtime knows no training framework).

    Args:
        bundle: its folder, or its name among the shipped ones.
        device: where it runs.
        threads: CPU threads; by default OMP_NUM_THREADS, else all.
        options: how engines for a GPU are built and where they are kept.

    Raises:
        ConfigurationError: no such bundle, a damaged one, or an executor that is not installed.
    """
    folder = find_bundle(bundle)
    description = read_description(BundleFiles(folder, DESCRIPTION_FILE))
    engine_class = _engine_class(description.engine, folder)
    if engine_class is NativeSegmentationEngine:  # which checks the weights as it reads them, and reads them once
        return NativeSegmentationEngine(folder, description, device, threads, options)
    engine: Engine = engine_class(folder, load_description(folder), device, threads)
    return engine


def _engine_class(name: str, folder: Path) -> Callable[..., Engine]:
    if name == NATIVE:
        return NativeSegmentationEngine
    installed = {point.name: point for point in entry_points(group=ENTRY_POINT_GROUP)}
    if name not in installed:
        known = ", ".join(sorted({NATIVE, *installed}))
        raise ConfigurationError(f"{folder / 'bundle.yaml'}: engine '{name}' is not installed (installed: {known})")
    found: Callable[..., Engine] = installed[name].load()
    return found
