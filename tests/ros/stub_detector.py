"""The real detection node with a stand-in for the network.

The name of the bundle says how it behaves: "stub" finds what `FakeDetector` says at once, "other" is a second network
with other classes, "sweeps2" and "sweeps3" take that many sweeps, "elongation" takes a further field, "unsound" also
finds boxes that no object has, "narrow" says less of its features than it takes, "missing" cannot be found, "failing"
raises on every frame, and "gate:FILE" waits in every frame until FILE exists.
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "runtime"))

from fake_detector import FakeDetector
from stub_node import fail, wait_for

from perception.configuration import ConfigurationError
from perception.nodes.detection import DetectionNode
from perception.nodes.executables import run_nodes

KINDS: dict[str, dict[str, Any]] = {
    "stub": {},
    "other": {"classes": ("lorry", "tram", "lamp")},
    "sweeps2": {"sweeps": 2},
    "sweeps3": {"sweeps": 3},
    "elongation": {"required_fields": ("intensity", "elongation")},
    "unsound": {"unsound": True},
    "narrow": {},
}


def start(bundle: str, **settings: Any) -> FakeDetector:
    """Stands in for perception.runtime.start_engine."""
    kind, _, file = bundle.partition(":")
    if kind == "missing":
        raise ConfigurationError("no bundle 'missing': give a folder with a bundle.yaml, or one of: stub")
    if kind == "failing":
        return FakeDetector(kind, on_forward=partial(fail, "out of memory"))
    if kind == "gate":
        return FakeDetector(kind, on_forward=partial(wait_for, file))
    detector = FakeDetector(kind, **KINDS[kind])
    if kind == "narrow":
        network = detector.description.network.model_copy(update={"point_channels": 6})
        detector.description = detector.description.model_copy(update={"network": network})
    return detector


if __name__ == "__main__":
    sys.exit(run_nodes([partial(DetectionNode, start=start)]))
