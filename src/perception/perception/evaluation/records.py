"""What is kept of every frame: enough for every figure, little enough to write down as it comes.

A run writes one line of JSON a frame and network into `frames/BAG.jsonl`; metrics, the report and comparisons of runs
are all made from these lines, so that a run that ended early, or on many machines, is judged like any other.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Annotated

import numpy as np
import pydantic
from numpy.typing import NDArray

from perception.configuration import ConfigurationError, Settings
from perception.types import Boxes3D

Count = Annotated[int, pydantic.Field(ge=0)]
Number = Annotated[float, pydantic.Field(allow_inf_nan=False)]
Triple = tuple[Number, Number, Number]


class BoxesRecord(Settings):
    """Boxes3D, and what else judging them takes.

    Attributes:
        points: LiDAR points in each box.
        difficulty: of each true box, KITTI's first level that counts it (0 easy, 1, 2; 3: none); None: not known.
    """

    centers: tuple[Triple, ...]
    sizes: tuple[Triple, ...]
    yaws: tuple[Number, ...]
    class_names: tuple[str, ...]
    scores: tuple[Number, ...]
    #: None where unknown.
    velocities: tuple[tuple[Number, Number] | None, ...]
    points: tuple[Count, ...]
    difficulty: tuple[Count, ...] | None = None

    @classmethod
    def of(
        cls, boxes: Boxes3D, points: NDArray[np.int64], difficulty: NDArray[np.integer] | None = None
    ) -> BoxesRecord:
        """Keep boxes to the bit."""
        velocities = [tuple(_shortest(row)) if np.isfinite(row).all() else None for row in boxes.velocities]
        return cls.model_validate(
            {
                "centers": [_shortest(row) for row in boxes.centers],
                "sizes": [_shortest(row) for row in boxes.sizes],
                "yaws": _shortest(boxes.yaws),
                "class_names": boxes.class_names,
                "scores": _shortest(boxes.scores),
                "velocities": velocities,
                "points": points.tolist(),
                "difficulty": None if difficulty is None else difficulty.tolist(),
            }
        )

    def boxes(self) -> Boxes3D:
        """Give the boxes back, equal to the bit."""
        velocities = [(np.nan, np.nan) if row is None else row for row in self.velocities]
        return Boxes3D(
            np.array(self.centers, np.float32).reshape(-1, 3),
            np.array(self.sizes, np.float32).reshape(-1, 3),
            np.array(self.yaws, np.float32),
            self.class_names,
            np.array(self.scores, np.float32),
            np.array(velocities, np.float32).reshape(-1, 2),
        )


class LabelsRecord(Settings):
    """Labels of a cloud.

    Attributes:
        sha256: of the class ids (uint8, in the network's own classes): two runs agree where these do.
        label_set: in whose classes the labels were judged; empty without truth.
        confusion: distance band -> (true class, predicted class, points), in the label set; predicted 255: given no
            label. Points whose truth is ignored are left out. None without truth.
    """

    sha256: str = pydantic.Field(pattern="^[0-9a-f]{64}$")
    label_set: str = ""
    confusion: dict[str, tuple[tuple[Count, Count, Count], ...]] | None = None


class FrameRecord(Settings):
    """One frame in one network.

    Attributes:
        bag, index, model, dropped, stage_ms: as of FrameOutcome.
        stamp_ns: of the cloud.
        points: of the cloud.
        quality: 0 to 1, by which the worst frames are found: share of points labelled right; of objects, the harmonic
            mean of precision and recall at the score from which boxes are shown. None without truth or result.
    """

    bag: str
    index: Count
    model: str
    stamp_ns: int
    points: Count
    dropped: str = ""
    stage_ms: dict[str, Number] = pydantic.Field(default_factory=dict)
    quality: float | None = None
    labels: LabelsRecord | None = None
    truth: BoxesRecord | None = None
    found: BoxesRecord | None = None


class RecordWriter:
    """Writes records as they come; every line is whole, whenever the run ends."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Line by line: a process that is killed leaves whole lines, and all of them.
        self._file: IO[str] = path.open("w", buffering=1, encoding="utf-8")

    def __enter__(self) -> RecordWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def write(self, record: FrameRecord) -> None:
        """Append one line."""
        self._file.write(record.model_dump_json(exclude_defaults=True) + "\n")


def read_records(paths: Iterable[Path]) -> Iterator[FrameRecord]:
    """Read records, one at a time, file after file.

    Raises:
        ConfigurationError: a line is not a record.
    """
    for path in paths:
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                try:
                    yield FrameRecord.model_validate_json(line)
                except pydantic.ValidationError:
                    raise ConfigurationError(f"{path}:{number}: not a frame of an evaluation; run it again") from None


def labels_sha256(class_ids: NDArray[np.uint8]) -> str:
    """Checksum of class ids."""
    return hashlib.sha256(np.ascontiguousarray(class_ids, np.uint8).tobytes()).hexdigest()


def _shortest(values: NDArray[np.float32]) -> Sequence[float]:
    """Numbers that read as written, and give the same float32 again."""
    return [float(str(value)) for value in np.asarray(values, np.float32)]
