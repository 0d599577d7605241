"""The real segmentation node with a stand-in for the network, so that tests need neither torch nor a bundle.

The name of the bundle says how it behaves: "stub" labels at once, "other" is a second network, "missing" cannot be
found, "broken" raises something unforeseen while loading, "failing" loads and raises on every frame, and "gate:FILE"
waits in every frame until FILE exists.
"""

from __future__ import annotations

import sys
import time
from functools import partial
from pathlib import Path

import numpy as np

from perception.bundle.format import BundleDescription, SpvcnnSettings
from perception.configuration import ConfigurationError
from perception.nodes.executables import run_nodes
from perception.nodes.segmentation import SegmentationNode
from perception.types import Frame, LabelledCloud

CLASSES = ("low", "high")
PROBABILITY = 0.75


def expected_class_ids(points: np.ndarray) -> np.ndarray:
    """What the stand-in says: 1 above the sensor, 0 below."""
    return (points[:, 2] > 0).astype(np.uint8)


class StubEngine:
    """Labels by height."""

    def __init__(self, bundle: str) -> None:
        self.bundle = bundle
        self.description = BundleDescription(
            format=1,
            name=bundle.partition(":")[0],
            task="segmentation",
            engine="stub",
            network=SpvcnnSettings(width=0.5),
            classes=CLASSES,
            colors=((255, 0, 0), (0, 0, 255)),
            voxel_size_m=0.1,
            license="none",
            origin="tests",
            weights_sha256="0" * 64,
        )

    def warm_up(self) -> None:
        if self.bundle == "broken":
            raise RuntimeError("no such kernel")

    def forward(self, frame: Frame) -> LabelledCloud:
        if self.bundle == "failing":
            raise RuntimeError("out of memory")
        kind, _, gate = self.bundle.partition(":")
        while kind == "gate" and not Path(gate).exists():
            time.sleep(0.005)
        points = frame.cloud.points
        if not np.isfinite(points).all():
            raise ValueError("non-finite points")
        return LabelledCloud(expected_class_ids(points), np.full(len(points), PROBABILITY, np.float32), {"look": 0.1})

    def close(self) -> None:
        pass


def load_stub(bundle: str, device: str) -> StubEngine:
    """Stands in for perception.runtime.load_engine."""
    if bundle == "missing":
        raise ConfigurationError("no bundle 'missing': give a folder with a bundle.yaml, or one of: stub")
    return StubEngine(bundle)


if __name__ == "__main__":
    sys.exit(run_nodes([partial(SegmentationNode, engine_loader=load_stub)]))
