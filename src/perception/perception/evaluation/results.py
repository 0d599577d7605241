"""What an evaluation found, as values: the one source of metrics.json, its schema, and the report."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import pydantic

from perception.configuration import Settings

SCHEMA_FILE = Path(__file__).parent / "report" / "templates" / "evaluation.schema.json"

Count = Annotated[int, pydantic.Field(ge=0)]
Share = Annotated[float, pydantic.Field(ge=0, le=1)]
Milliseconds = Annotated[float, pydantic.Field(allow_inf_nan=False)]


class LatencySummary(Settings):
    """Percentiles of one stage, in milliseconds."""

    p50: Milliseconds
    p95: Milliseconds
    p99: Milliseconds
    max: Milliseconds
    count: Annotated[int, pydantic.Field(ge=1)]


class FrameCounts(Settings):
    """What became of the frames: every one that was published came out or was dropped for a reason."""

    model_config = pydantic.ConfigDict(populate_by_name=True, serialize_by_alias=True)

    in_: Count = pydantic.Field(alias="in")
    out: Count
    dropped: Count
    dropped_by_reason: dict[str, Count]

    @classmethod
    def accounted(cls, published: int, out: int, dropped_by_reason: Mapping[str, int]) -> FrameCounts:
        """Count what was published, what came out of it, and why the rest did not."""
        dropped = {"dropped": sum(dropped_by_reason.values()), "dropped_by_reason": dict(dropped_by_reason)}
        return cls.model_validate({"in": published, "out": out, **dropped})

    @pydantic.model_validator(mode="after")
    def _every_frame_is_accounted_for(self) -> FrameCounts:
        if self.dropped != sum(self.dropped_by_reason.values()) or self.in_ != self.out + self.dropped:
            raise ValueError(
                f"{self.in_} frames in, {self.out} out, {self.dropped} dropped ({self.dropped_by_reason}) do not add up"
            )
        return self


class MachineDescription(Settings):
    """Where it ran."""

    cpu: str
    cores: Annotated[int, pydantic.Field(ge=1)]
    memory_gib: float
    system: str
    ros_distro: str
    rmw: str
    #: Version of Python and of each package that matters.
    versions: dict[str, str]


class SegmentationFigures(Settings):
    """How well points were labelled, all of them or those of one distance band."""

    #: Over the classes that occur in the truth; None when nothing was compared.
    mean_iou: Share | None
    accuracy: Share | None
    #: Classes that do not occur in the truth are left out.
    iou: dict[str, Share]
    #: Points of each class in the truth.
    points: dict[str, Count]


class SegmentationResults(SegmentationFigures):
    """How well points were labelled."""

    #: Whose classes: semantic_kitti or nuscenes_lidarseg.
    label_set: str
    classes: tuple[str, ...]
    #: Truth in rows, prediction in columns, in the order of `classes`.
    confusion: tuple[tuple[Count, ...], ...]
    #: Frames that were compared.
    frames: Count
    by_distance: dict[str, SegmentationFigures]


class ClassFigures(Settings):
    """How well the objects of one class were found."""

    #: Over matches within 0.5, 1, 2 and 4 m, and at each of these distances.
    average_precision: Share
    average_precision_at_m: dict[str, Share]
    #: translation (m), scale (1 - IoU), orientation (rad), velocity (m/s); None where it means nothing or is
    #: not known; 1 without any match within 2 m, as nuScenes has it.
    errors: dict[str, float | None]
    #: True objects that count, and boxes that were found at any score.
    objects: Count
    found: Count


class PrecisionRecall(Settings):
    """Precision at evenly spaced levels of recall, from 0 to 1, for matches within `distance_m`."""

    distance_m: float
    precision: tuple[Share, ...]
    #: The score above which each level is reached; None where it is not.
    score: tuple[Share | None, ...]


class DetectionFigures(Settings):
    """How well objects were found, all of them or those of one band."""

    #: As nuScenes has it; None without any object.
    mean_average_precision: Share | None
    by_class: dict[str, ClassFigures]
    #: KITTI's class -> bev or 3d -> level -> average precision at 40 levels of recall; None without objects. Levels are
    #: all, and easy, moderate and hard of the frames whose truth says so. A bicycle is no Cyclist, who is one with it.
    kitti: dict[str, dict[str, dict[str, Share | None]]]


class DetectionResults(DetectionFigures):
    """How well objects were found; figures of classes of which the truth has none are left out."""

    #: What the network tells apart.
    classes: tuple[str, ...]
    nuscenes_detection_score: Share | None
    #: nuScenes' five mean errors; None where they are not known.
    errors: dict[str, float | None]
    #: Objects count within this distance, and when they show at least so many points.
    range_m: float
    least_points: Count
    #: Frames that were compared.
    frames: Count
    curves: dict[str, PrecisionRecall]
    by_distance: dict[str, DetectionFigures]
    by_points: dict[str, DetectionFigures]


class Usage(Settings):
    """What was used of something while frames were processed."""

    mean: float
    max: float


class ResourceUsage(Settings):
    """What the evaluated processes took from the machine; None where it cannot be known."""

    #: 100 is one core.
    cpu_percent: Usage
    memory_mib: Usage
    gpu_percent: Usage | None = None
    gpu_memory_mib: Usage | None = None
    power_w: Usage | None = None
    samples: Count


class ModelResults(Settings):
    """What one network did with all bags."""

    #: As on the command line: tells runs of the same bundle apart.
    name: str
    bundle: str
    bundle_sha256: str = pydantic.Field(pattern="^[0-9a-f]{64}$")
    task: Literal["segmentation", "detection"]
    frames: FrameCounts
    #: Stage -> milliseconds; `total`: a frame's whole way; `end_to_end`, online: from the cloud's publication to the
    #: receipt of its result; `replay_late`, online: how late the cloud was published.
    latency_ms: dict[str, LatencySummary]
    #: Results a second: of one worker offline, while networks ran; online a second of the bags.
    rate_hz: float | None
    segmentation: SegmentationResults | None = None
    detection: DetectionResults | None = None
    resources: ResourceUsage | None = None


class BagDescription(Settings):
    """An evaluated bag."""

    name: str
    #: Clouds that could be read.
    frames: Count
    duration_s: float
    #: What of it could not be read or used, one sentence each.
    losses: tuple[str, ...] = ()
    #: Frames with true labels, and with true objects.
    labelled_frames: Count = 0
    frames_with_objects: Count = 0


class RunDescription(Settings):
    """What ran."""

    command: str
    created: str
    #: offline: every frame through the library; online: through the nodes, in real time.
    mode: Literal["offline", "online"]
    #: Whether it was interrupted before the end.
    partial: bool
    bags: tuple[BagDescription, ...]
    #: Online: bag seconds a second.
    rate: float | None = None
    #: Offline: processes that worked at the same time.
    workers: int | None = None
    duration_s: float
    machine: MachineDescription


class EvaluationResults(Settings):
    """Everything in metrics.json; what happened to each frame is in the files below `frames/` beside it."""

    format: Annotated[int, pydantic.Field(ge=2, le=2)] = 2
    run: RunDescription
    models: tuple[ModelResults, ...]
    #: Sentences about what the figures do not say.
    notes: tuple[str, ...] = ()

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
