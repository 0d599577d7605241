"""What the demo found; goes when the demo is an evaluation like any other."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import pydantic

from perception.configuration import Settings
from perception.evaluation.metrics.confusion import ConfusionMatrix
from perception.evaluation.results import Count, FrameCounts, LatencySummary, MachineDescription, Share

SCHEMA_FILE = Path(__file__).parent / "report" / "templates" / "metrics.schema.json"


class SegmentationResults(Settings):
    """How well points were labelled; classes that do not occur in the truth are left out of `iou`."""

    #: Over the classes that occur in the truth; None when nothing was compared.
    mean_iou: Share | None
    accuracy: Share | None
    iou: dict[str, Share]
    #: Points of each class in the truth.
    points: dict[str, Count]
    classes: tuple[str, ...]
    #: Truth in rows, prediction in columns, in the order of `classes`.
    confusion: tuple[tuple[Count, ...], ...]
    #: Frames that were compared.
    frames: Count

    @classmethod
    def from_confusion(cls, matrix: ConfusionMatrix, classes: tuple[str, ...], frames: int) -> SegmentationResults:
        """Read every figure off a confusion matrix."""
        occurring = [(name, index) for index, name in enumerate(classes) if matrix.occurs[index]]
        iou = matrix.iou()
        return cls(
            mean_iou=matrix.mean_iou() if occurring else None,
            accuracy=matrix.accuracy() if occurring else None,
            iou={name: float(iou[index]) for name, index in occurring},
            points={name: int(matrix.truth_points[index]) for name, index in occurring},
            classes=classes,
            confusion=tuple(tuple(row) for row in matrix.counts.tolist()),
            frames=frames,
        )


class DetectionResults(Settings):
    """How well a detector found objects; classes of which the truth has none are left out."""

    bundle: str
    bundle_sha256: str = pydantic.Field(pattern="^[0-9a-f]{64}$")
    #: As nuScenes has it: over matches within 0.5, 1, 2 and 4 m, and over the classes; None without any object.
    mean_average_precision: Share | None
    average_precision: dict[str, Share]
    #: Of each class, in the frames that came out: within `range_m`, and showing at least `least_points`.
    objects: dict[str, Count]
    range_m: float
    least_points: Count
    latency_ms: dict[str, LatencySummary]
    frames: FrameCounts


class RunDescription(Settings):
    """What ran."""

    command: str
    created: str
    bundle: str
    bundle_sha256: str = pydantic.Field(pattern="^[0-9a-f]{64}$")
    sensor: str
    seeds: tuple[int, ...]
    duration_s: float
    rate_hz: float
    machine: MachineDescription


class RealScanResults(Settings):
    """A real scan that went through the same graph."""

    file: str
    points: Count
    #: None when the scan came without labels.
    segmentation: SegmentationResults | None


class EvaluationResults(Settings):
    """Everything in metrics.json."""

    format: Annotated[int, pydantic.Field(ge=1, le=1)] = 1
    run: RunDescription
    segmentation: SegmentationResults
    latency_ms: dict[str, LatencySummary]
    frames: FrameCounts
    real_scan: RealScanResults | None = None
    detection: DetectionResults | None = None

    def write(self, path: Path) -> None:
        """Write metrics.json."""
        path.write_text(self.model_dump_json(indent=1) + "\n")


def json_schema() -> dict[str, Any]:
    """The JSON schema of metrics.json, as shipped in SCHEMA_FILE."""
    schema = EvaluationResults.model_json_schema(mode="serialization", by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def write_schema() -> None:
    """Write SCHEMA_FILE again after the models above changed; a test compares the two."""
    SCHEMA_FILE.write_text(json.dumps(json_schema(), indent=1) + "\n")
