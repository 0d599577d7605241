"""What the demo says about a detector: its figures and its picture."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from perception.bringup.demo.detection import (
    DetectedDrive,
    DetectedDrives,
    detection_results,
    typical_scan,
)
from perception.bringup.demo.graph import Recording
from perception.data import bags
from perception.data.drive import DriveFrame
from perception.nodes.recorded import RecordedFrame
from perception.types import Boxes3D, Frame, PointCloud
from tests.runtime.fake_detector import FakeDetector

START_NS, PERIOD_NS, FRAMES = 1_000_000_000_000_000_000, 100_000_000, 4
BUNDLE = FakeDetector("small", ("car", "lamp", "tram")).description


def boxes(*places: tuple[float, float], names: tuple[str, ...], score: float = 1.0) -> Boxes3D:
    """Boxes of 4 x 2 x 2 m at these places on the ground."""
    count = len(places)
    centers = np.array([(x, y, 0) for x, y in places], np.float32).reshape(-1, 3)
    sizes, zeros = np.tile(np.array([4, 2, 2], np.float32), (count, 1)), np.zeros((count, 2), np.float32)
    return Boxes3D(centers, sizes, zeros[:, 0], names, np.full(count, score, np.float32), zeros)


def moment(number: int) -> DriveFrame:
    """A car that shows 20 points, a lamp that shows none, and a dog, which the detector does not know."""
    points = np.random.default_rng(number).uniform(-0.9, 0.9, (20, 4)).astype(np.float32)
    points[:, 0] += 10 + number
    truth = boxes((10 + number, 0), (20, 5), (10 + number, 0), names=("car", "lamp", "dog"))
    frame = Frame(PointCloud(points), START_NS + number * PERIOD_NS, "lidar")
    return DriveFrame(frame, np.eye(4), objects=truth, odom_from_base=np.eye(4))


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("detected") / "bag"
    bags.write_drive(path, [moment(number) for number in range(FRAMES)])
    return path


def detected(bag: Path, offset_m: float = 0.0) -> DetectedDrives:
    """All but the last frame came out, each with the car at an offset and, less sure, a tram that is not there."""
    frames = {}
    for number in range(FRAMES - 1):
        found = boxes((10 + number + offset_m, 0), (30, 0), names=("car", "tram"), score=0.75)
        found = replace(found, scores=np.array([0.75, 0.25], np.float32))
        stamp_ns = START_NS + number * PERIOD_NS
        frames[stamp_ns] = RecordedFrame(
            stamp_ns, stamp_ns, found, stage_ms={"inference": 30.0}, total_ms=40.0 + number, inference_ms=30.0
        )
    recording = Recording(FRAMES, frames, {"superseded": 1})
    return DetectedDrives(BUNDLE, [DetectedDrive("drive", bag, recording)])


def test_figures_are_of_what_came_out_and_can_be_seen(bag: Path) -> None:
    results = detection_results(detected(bag))
    assert (results.average_precision, results.objects) == ({"car": pytest.approx(1.0)}, {"car": 3})
    assert results.mean_average_precision == pytest.approx(1.0)
    assert (results.frames.in_, results.frames.out, results.frames.dropped) == (4, 3, 1)
    assert results.latency_ms["total"].p50 == 41.0


@pytest.mark.parametrize(("offset_m", "distances"), [(0.75, 3), (3.0, 1), (5.0, 0)])
def test_a_box_that_is_off_counts_for_the_wider_distances(bag: Path, offset_m: float, distances: int) -> None:
    results = detection_results(detected(bag, offset_m))
    assert results.average_precision["car"] == pytest.approx(distances / 4)


def test_nothing_that_came_out_is_said_and_not_made_up(bag: Path) -> None:
    nothing = DetectedDrives(BUNDLE, [DetectedDrive("drive", bag, Recording(FRAMES, {}, {"superseded": FRAMES}))])
    results = detection_results(nothing)
    assert (results.mean_average_precision, results.average_precision, results.latency_ms) == (None, {}, {})
    assert typical_scan(nothing.simulated[0], BUNDLE) is None


def test_the_picture_is_of_a_frame_in_the_middle(bag: Path) -> None:
    scan = typical_scan(detected(bag).simulated[0], BUNDLE)
    assert scan is not None
    assert (scan.found.class_names, scan.truth.class_names if scan.truth else ()) == (("car",), ("car",))
    assert scan.truth is not None
    assert scan.truth.centers[0, 0] == 11
    assert scan.colors == {"car": (255, 0, 0), "lamp": (0, 0, 255), "tram": (0, 255, 0)}
