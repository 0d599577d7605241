"""The real segmentation node with a stand-in for the network, so that tests need neither torch nor a bundle.

The name of the bundle says how it behaves: "stub" labels at once, "other" is a second network with other classes,
"missing" cannot be found, "broken" raises something unforeseen while it is tried out, "lying" fails its self-check,
"failing" loads and raises on every frame, "gate:FILE" waits in every frame until FILE exists, and "slow:FILE" waits
for it while loading.
"""

from __future__ import annotations

import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "runtime"))

from fake_engine import PROBABILITY as PROBABILITY
from fake_engine import FakeEngine

from perception.configuration import ConfigurationError
from perception.nodes.executables import run_nodes
from perception.nodes.segmentation import SegmentationNode


def expected_class_ids(points: np.ndarray) -> np.ndarray:
    """What the stand-in says: 1 above the sensor, 0 below."""
    return (points[:, 2] > 0).astype(np.uint8)


def wait_for(file: str) -> None:
    """Wait until a test makes a file."""
    while not Path(file).exists():
        time.sleep(0.005)


def fail(text: str) -> None:
    """Raise what a network may raise."""
    raise RuntimeError(text)


def start(bundle: str, **settings: Any) -> FakeEngine:
    """Stands in for perception.runtime.start_engine."""
    kind, _, file = bundle.partition(":")
    if kind == "missing":
        raise ConfigurationError("no bundle 'missing': give a folder with a bundle.yaml, or one of: stub")
    if kind == "lying":
        raise ConfigurationError("lying: fails its self-check on this device")
    if kind == "broken":
        fail("no such kernel")
    if kind == "slow":
        wait_for(file)
    on_forward = {"gate": partial(wait_for, file), "failing": partial(fail, "out of memory")}
    classes = ("down", "up") if kind == "other" else ("low", "high")
    return FakeEngine(kind, classes, **({"on_forward": on_forward[kind]} if kind in on_forward else {}))


if __name__ == "__main__":
    sys.exit(run_nodes([partial(SegmentationNode, start=start)]))
