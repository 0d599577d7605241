"""From recordings and bags to the figures and pictures of the demo's report."""

from __future__ import annotations

import shlex
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from perception.bringup.demo.graph import Recording
from perception.bringup.demo.settings import DemoSettings
from perception.bundle.format import BundleDescription
from perception.classes import SEMANTIC_KITTI_CLASSES, SEMANTIC_KITTI_COLORS
from perception.data import bags
from perception.evaluation.comparison import Comparison, compare, labelled_scan
from perception.evaluation.demo_results import EvaluationResults, RealScanResults, RunDescription, SegmentationResults
from perception.evaluation.latency import exclusive_stages, summarize_stages, with_totals
from perception.evaluation.machine import describe_machine
from perception.evaluation.report.demo_writing import ReportInputs
from perception.evaluation.report.panels import LabelledScan
from perception.evaluation.results import FrameCounts

PICTURED_DRIVES = 3
REASONS = {
    "superseded": "a newer cloud came while the network was still busy with an older one",
    "lost_before_node": "the middleware lost the cloud on its way to the node",
    "lost_after_node": "the node published a result that did not reach the recorder",
    "wrong_length": "the result did not have one label a point",
}


@dataclass(frozen=True)
class PlayedDrive:
    """A bag, what came out of the graph for it, and how that compares with the truth."""

    title: str
    bag: Path
    recording: Recording
    comparison: Comparison

    @classmethod
    def judge(cls, title: str, bag: Path, recording: Recording, classes: tuple[str, ...]) -> PlayedDrive:
        """Compare a recording with the truth in its bag."""
        labels = {stamp_ns: frame.result for stamp_ns, frame in recording.frames.items() if frame.result is not None}
        return cls(title, bag, recording, compare(bags.read_drive(bag), labels, classes))

    def dropped_by_reason(self) -> dict[str, int]:
        """Why frames gave no usable result."""
        wrong = {"wrong_length": self.comparison.wrong_length} if self.comparison.wrong_length else {}
        return {**self.recording.dropped_by_reason, **wrong}

    def typical_scan(self, classes: tuple[str, ...]) -> LabelledScan | None:
        """The frame of median accuracy, to be drawn."""
        stamp_ns = self.comparison.typical_stamp_ns()
        if stamp_ns is None:
            return None
        frame = next(frame for frame in bags.read_drive(self.bag) if frame.frame.stamp_ns == stamp_ns)
        return labelled_scan(self.title, frame, self.recording.frames[stamp_ns].result, classes)


def report_inputs(
    settings: DemoSettings, bundle: BundleDescription, drives: Sequence[PlayedDrive], scan: PlayedDrive | None
) -> ReportInputs:
    """Everything that the report shows."""
    total = Comparison()
    for drive in drives:
        total.matrix.merge(drive.comparison.matrix)
    recorded = [frame for drive in drives for frame in drive.recording.frames.values()]
    stages = [with_totals(frame.stage_ms or {}, frame.inference_ms, frame.total_ms) for frame in recorded]
    counts = frame_counts(drives)
    results = EvaluationResults(
        run=_describe_run(settings, bundle),
        segmentation=SegmentationResults.from_confusion(
            total.matrix, SEMANTIC_KITTI_CLASSES, sum(drive.comparison.compared for drive in drives)
        ),
        latency_ms=summarize_stages(stages),
        frames=counts,
        real_scan=_real_scan_results(settings, scan),
    )
    typical = [drive.typical_scan(bundle.classes) for drive in drives[:PICTURED_DRIVES]]
    return ReportInputs(
        results=results,
        colors=dict(zip(SEMANTIC_KITTI_CLASSES, map(tuple, SEMANTIC_KITTI_COLORS.tolist()), strict=True)),
        scans=[found for found in typical if found is not None],
        frame_stages_ms=[exclusive_stages(frame.stage_ms or {}, frame.total_ms) for frame in recorded],
        real_scan=scan.typical_scan(bundle.classes) if scan else None,
        notes=_notes(counts.dropped_by_reason),
    )


def frame_counts(drives: Sequence[PlayedDrive]) -> FrameCounts:
    """Account for every frame of every drive."""
    dropped: Counter[str] = Counter()
    for drive in drives:
        dropped.update(drive.dropped_by_reason())
    published = sum(drive.recording.published for drive in drives)
    return FrameCounts.accounted(published, sum(drive.comparison.labelled for drive in drives), dropped)


def _real_scan_results(settings: DemoSettings, scan: PlayedDrive | None) -> RealScanResults | None:
    if scan is None or settings.scan is None:
        return None
    points = sum(len(frame.result) for frame in scan.recording.frames.values() if frame.result is not None)
    segmentation = SegmentationResults.from_confusion(
        scan.comparison.matrix, SEMANTIC_KITTI_CLASSES, scan.comparison.compared
    )
    return RealScanResults(
        file=settings.scan.name, points=points, segmentation=segmentation if settings.labels else None
    )


def _describe_run(settings: DemoSettings, bundle: BundleDescription) -> RunDescription:
    return RunDescription(
        command=shlex.join(["perception", *sys.argv[1:]]),
        created=datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        bundle=bundle.name,
        bundle_sha256=bundle.weights_sha256,
        sensor=settings.sensor,
        seeds=settings.seeds,
        duration_s=settings.duration_s,
        rate_hz=settings.rate_hz,
        machine=describe_machine(),
    )


def _notes(dropped: Mapping[str, int]) -> list[str]:
    notes = [
        "The drives are simulated: streets, sensor and noise are models. The seeds are none that training saw, but "
        "they come from the same generator, so a real street is harder than these figures say.",
        "Accuracy is over the frames that came out. The network was given no time that a robot would not have: clouds "
        "that came while it was busy were dropped, as they would be on the road.",
        "The simulated drive, the replay, the recorder and the node shared the processor, so latencies are higher than "
        "the node's alone.",
    ]
    explained = [
        f"{reason}, {count} frames: {REASONS[reason]}." for reason, count in dropped.items() if reason in REASONS
    ]
    return notes + explained
