"""What every executor of a bundle looks like from outside, and how the right one is found."""

from __future__ import annotations

from importlib.metadata import entry_points
from pathlib import Path
from typing import Protocol

from perception.bundle.format import BundleDescription, load_description
from perception.configuration import ConfigurationError
from perception.paths import find_bundle
from perception.types import Frame, LabelledCloud

ENTRY_POINT_GROUP = "perception.engines"


class Engine(Protocol):
    """A loaded network. One thread at a time calls it; nodes, replays and benchmarks all call the same `forward`."""

    description: BundleDescription

    def warm_up(self) -> None:
        """Run once on made-up data, so that the first real frame is not the slow one."""

    def forward(self, frame: Frame) -> LabelledCloud:
        """Label a frame. An empty cloud gives an empty result; the input is never written to.

        Raises:
            ValueError: the cloud is not float32 [N, 4] or holds non-finite values.
        """

    def close(self) -> None:
        """Free what the engine holds; it cannot be used afterwards."""


def load_engine(bundle: str | Path, device: str = "cpu") -> Engine:
    """Load the bundle with the executor that its bundle.yaml names.

    Executors register under the entry point group ``perception.engines``, so that this module imports none of them
    (the import rule: the runtime knows no training framework).

    Raises:
        ConfigurationError: no such bundle, a damaged one, or an executor that is not installed.
    """
    folder = find_bundle(bundle)
    description = load_description(folder)
    found = [point for point in entry_points(group=ENTRY_POINT_GROUP) if point.name == description.engine]
    if not found:
        known = ", ".join(sorted({point.name for point in entry_points(group=ENTRY_POINT_GROUP)})) or "none"
        raise ConfigurationError(
            f"{folder / 'bundle.yaml'}: engine '{description.engine}' is not installed (installed: {known})"
        )
    engine: Engine = found[0].load()(folder, description, device)
    return engine
