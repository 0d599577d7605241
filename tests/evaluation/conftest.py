"""A small made-up evaluation: a cloud of three classes, labelled with a few errors."""

import numpy as np
import pytest

from perception.classes import IGNORED
from perception.evaluation.demo_results import EvaluationResults, RunDescription, SegmentationResults
from perception.evaluation.latency import summarize_stages
from perception.evaluation.metrics.confusion import ConfusionMatrix
from perception.evaluation.report.demo_writing import ReportInputs
from perception.evaluation.report.panels import LabelledScan
from perception.evaluation.results import FrameCounts, MachineDescription

CLASSES = ("road", "car", "tree", "train")
COLORS = {"road": (255, 0, 255), "car": (100, 150, 245), "tree": (0, 175, 0), "train": (1, 2, 3)}
STAGES_MS = [{"decode": 1.0, "network": 90.0, "publish": 2.0}, {"decode": 1.5, "network": 95.0, "publish": 2.5}]


@pytest.fixture(scope="session")
def scan():
    random = np.random.default_rng(7)
    truth = random.integers(0, 3, 3000).astype(np.uint8)
    predicted = truth.copy()
    truth[:10] = IGNORED
    predicted[100:400] = 1
    points = random.uniform(-20, 20, (3000, 4)).astype(np.float32)
    palette = np.array(list(COLORS.values()), np.uint8)
    return LabelledScan("drive <1>, frame 2", points, truth, predicted, CLASSES, palette)


@pytest.fixture(scope="session")
def results(scan):
    matrix = ConfusionMatrix(len(CLASSES))
    matrix.add(scan.truth, scan.predicted)
    machine = MachineDescription(
        cpu="made-up cpu", cores=2, memory_gib=4.0, system="Linux", ros_distro="kilted", rmw="rmw", versions={"a": "1"}
    )
    return EvaluationResults(
        run=RunDescription(
            command="perception demo",
            created="2030-01-01",
            bundle="small",
            bundle_sha256="0" * 64,
            sensor="tiny",
            seeds=(1, 2),
            duration_s=1.0,
            rate_hz=10.0,
            machine=machine,
        ),
        segmentation=SegmentationResults.from_confusion(matrix, CLASSES, frames=2),
        latency_ms=summarize_stages(
            {**stages, "total": sum(stages.values()), "overhead": stages["decode"]} for stages in STAGES_MS
        ),
        frames=FrameCounts(in_=20, out=2, dropped=18, dropped_by_reason={"not_received": 17, "no_points": 1}),
    )


@pytest.fixture(scope="session")
def inputs(scan, results):
    return ReportInputs(results, COLORS, [scan], STAGES_MS, notes=["Mind the <gap>."])
