"""The demo's second pass: the same drives through a detection node, and what it found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from rich.console import Console

from perception.bringup.demo.graph import Recording, running_graph
from perception.bringup.demo.settings import DemoSettings
from perception.bundle.files import BundleFiles
from perception.bundle.format import DESCRIPTION_FILE, CommonDescription, read_any_description
from perception.configuration import ConfigurationError
from perception.data import bags
from perception.data.boxes import chosen, points_inside
from perception.data.drive import DriveFrame
from perception.evaluation.demo_results import DetectionResults
from perception.evaluation.latency import summarize_stages, with_totals
from perception.evaluation.metrics.detection import DetectionMetrics
from perception.evaluation.report.demo_writing import ReportInputs
from perception.evaluation.report.detection_pictures import DetectedScan
from perception.evaluation.results import FrameCounts
from perception.paths import find_bundle
from perception.types import Boxes3D

TASK = "detection"
#: Objects count within this distance, and when they show so many points.
RANGE_M, LEAST_POINTS = 50.0, 5
#: Boxes that score less are left out of pictures; metrics take them all.
SHOWN_SCORE = 0.3
PICTURED_DRIVES = 2


@dataclass(frozen=True)
class DetectedDrive:
    """A bag, and the boxes that came out of the graph for it."""

    title: str
    bag: Path
    recording: Recording


@dataclass(frozen=True)
class DetectedDrives:
    """What a detector was given, and what it found.

    Attributes:
        bundle: the detector.
        simulated: drives with a truth.
        real: a real scan, if there was one.
    """

    bundle: CommonDescription
    simulated: Sequence[DetectedDrive]
    real: DetectedDrive | None = None


@dataclass(frozen=True)
class Detector:
    """A bundle that finds objects."""

    folder: Path
    bundle: CommonDescription


def find_detector(name_or_folder: str) -> Detector:
    """The bundle of this name or in this folder.

    Raises:
        ConfigurationError: there is none, or it is not for detection.
    """
    folder = find_bundle(name_or_folder)
    bundle = read_any_description(BundleFiles(folder, DESCRIPTION_FILE))
    if bundle.task != TASK:
        raise ConfigurationError(f"--detector {name_or_folder}: this network is for {bundle.task}; name one for {TASK}")
    return Detector(folder, bundle)


def detect_all(
    detector: Detector, settings: DemoSettings, bags_by_seed: Mapping[int, Path], real: Path | None, console: Console
) -> DetectedDrives:
    """Bring the detection node up, and play every bag through it.

    Raises:
        GraphError: the graph failed.
    """
    with (
        console.status("bringing the detector up") as status,
        running_graph(str(detector.folder), settings.logs, TASK) as graph,
    ):
        drives = []
        for seed, bag in bags_by_seed.items():
            status.update(f"finding objects in seed {seed} at {settings.rate_hz:g} Hz")
            drives.append(DetectedDrive(f"Simulated drive, seed {seed}", bag, graph.play(bag, settings.rate)))
        scan = None if real is None else DetectedDrive("A real scan (SemanticKITTI)", real, graph.play(real, 1.0))
    console.print(f"graph: objects found in {len(drives)} drives, ended cleanly")
    return DetectedDrives(detector.bundle, drives, scan)


def with_detections(inputs: ReportInputs, detected: DetectedDrives) -> ReportInputs:
    """Add the detector to what the report shows."""
    pictured = [*detected.simulated[:PICTURED_DRIVES], *([detected.real] if detected.real else [])]
    scans = [typical_scan(drive, detected.bundle) for drive in pictured]
    return replace(
        inputs,
        results=inputs.results.model_copy(update={"detection": detection_results(detected)}),
        detections=[scan for scan in scans if scan is not None],
    )


def detection_results(detected: DetectedDrives) -> DetectionResults:
    """Compare what was found in the simulated drives with the truth."""
    bundle, metrics = detected.bundle, DetectionMetrics(detected.bundle.classes, RANGE_M)
    for drive in detected.simulated:
        for frame, found in frames_with_boxes(drive):
            truth = countable_truth(frame, bundle.classes)
            if truth is not None:
                metrics.add(truth, found)
    recorded = [frame for drive in detected.simulated for frame in drive.recording.frames.values()]
    rows = zip(bundle.classes, metrics.average_precisions(), strict=True)
    mean = metrics.mean_average_precision()
    return DetectionResults(
        bundle=bundle.name,
        bundle_sha256=bundle.weights_sha256,
        mean_average_precision=None if np.isnan(mean) else mean,
        average_precision={name: float(row.mean()) for name, row in rows if metrics.objects(name)},
        objects={name: metrics.objects(name) for name in bundle.classes if metrics.objects(name)},
        range_m=RANGE_M,
        least_points=LEAST_POINTS,
        latency_ms=summarize_stages(
            with_totals(frame.stage_ms or {}, frame.inference_ms, frame.total_ms) for frame in recorded
        ),
        frames=frame_counts([drive.recording for drive in detected.simulated]),
    )


def frame_counts(recordings: Sequence[Recording]) -> FrameCounts:
    """Account for every cloud of several recordings."""
    dropped: Counter[str] = Counter()
    for recording in recordings:
        dropped.update(recording.dropped_by_reason)
    published = sum(recording.published for recording in recordings)
    return FrameCounts.accounted(published, sum(len(recording.frames) for recording in recordings), dropped)


def frames_with_boxes(drive: DetectedDrive) -> Iterator[tuple[DriveFrame, Boxes3D]]:
    """The frames of a drive that came out, with what was found in them."""
    for frame in bags.read_drive(drive.bag):
        recorded = drive.recording.frames.get(frame.frame.stamp_ns)
        if recorded is not None:
            yield frame, recorded.result


def countable_truth(frame: DriveFrame, classes: Sequence[str]) -> Boxes3D | None:
    """The true objects of these classes that show enough points; None where the truth is not known."""
    if frame.objects is None:
        return None
    known = np.array([name in classes for name in frame.objects.class_names], bool)
    return chosen(frame.objects, known & (points_inside(frame.frame.cloud.points, frame.objects) >= LEAST_POINTS))


def typical_scan(drive: DetectedDrive, bundle: CommonDescription) -> DetectedScan | None:
    """The frame in the middle of those that came out, to be drawn."""
    frames = list(frames_with_boxes(drive))
    if not frames:
        return None
    frame, found = frames[len(frames) // 2]
    shown = chosen(found, found.scores >= SHOWN_SCORE)
    colors = dict(zip(bundle.classes, bundle.colors, strict=True))
    title = f"{drive.title}: scores from {SHOWN_SCORE}"
    return DetectedScan(title, frame.frame.cloud.points, shown, countable_truth(frame, bundle.classes), colors)
