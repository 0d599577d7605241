"""What the report shows frame by frame, gathered from records in one pass and little memory."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from perception.evaluation.latency import main_duration_ms, stacked_stages
from perception.evaluation.records import FrameRecord
from perception.evaluation.results import ModelResults

#: Columns of a timeline; more frames share them, so that the page stays small.
MOST_COLUMNS = 500


@dataclass
class Column:
    """Neighbouring frames that share a column of the timeline.

    Attributes:
        first, last: bag and number of the first and last of them.
        results: frames that came out.
        dropped: frames that did not.
        stage_ms: sums over the frames that came out, of stages that do not overlap.
        slowest_ms: the longest total.
    """

    first: tuple[str, int]
    last: tuple[str, int]
    results: int = 0
    dropped: int = 0
    stage_ms: Counter[str] = field(default_factory=Counter)
    slowest_ms: float = 0.0

    def add(self, record: FrameRecord) -> None:
        """Add the next frame."""
        self.last = record.bag, record.index
        if record.dropped:
            self.dropped += 1
            return
        self.results += 1
        stages = stacked_stages(record.stage_ms)
        self.stage_ms.update(stages)
        self.slowest_ms = max(self.slowest_ms, sum(stages.values()))

    @property
    def frames(self) -> int:
        """How many frames share it."""
        return self.results + self.dropped

    def mean_ms(self, stage: str) -> float:
        """Mean of a stage over the frames that came out."""
        return self.stage_ms[stage] / self.results if self.results else 0.0


@dataclass
class BagSeries:
    """What a network did with one bag.

    Attributes:
        frames: of the bag, dropped ones too.
        dropped: frames without a result.
        judged: frames whose quality is known.
        quality_sum: over those.
        duration_ms: of each frame that came out.
    """

    frames: int = 0
    dropped: int = 0
    judged: int = 0
    quality_sum: float = 0.0
    duration_ms: array[float] = field(default_factory=lambda: array("d"))

    @property
    def mean_quality(self) -> float | None:
        """Mean over the frames whose quality is known."""
        return self.quality_sum / self.judged if self.judged else None

    def add(self, record: FrameRecord) -> None:
        """Add the next frame."""
        self.frames += 1
        self.dropped += bool(record.dropped)
        if record.quality is not None:
            self.judged += 1
            self.quality_sum += record.quality
        duration_ms = main_duration_ms(record.stage_ms)
        if duration_ms is not None:
            self.duration_ms.append(duration_ms)


@dataclass
class FrameSeries:
    """What a network did, frame by frame.

    Attributes:
        frames_per_column: how many frames share a column of the timeline.
        columns: in the order of the records.
        bags: by name, in the order in which they first occur.
    """

    frames_per_column: int
    columns: list[Column] = field(default_factory=list)
    bags: dict[str, BagSeries] = field(default_factory=dict)

    @classmethod
    def for_frames(cls, count: int) -> FrameSeries:
        """Start a series of so many frames."""
        return cls(max(1, -(-count // MOST_COLUMNS)))

    def add(self, record: FrameRecord) -> None:
        """Add the next frame."""
        self.bags.setdefault(record.bag, BagSeries()).add(record)
        last = self.columns[-1] if self.columns else None
        if last is None or last.frames >= self.frames_per_column:
            last = Column((record.bag, record.index), (record.bag, record.index))
            self.columns.append(last)
        last.add(record)

    def duration_ms(self) -> list[float]:
        """How long each frame took that came out."""
        return [duration_ms for bag in self.bags.values() for duration_ms in bag.duration_ms]


def gather(records: Iterable[FrameRecord], models: Sequence[ModelResults]) -> dict[str, FrameSeries]:
    """Give the series of every model by its name; records of other models are passed over."""
    series = {model.name: FrameSeries.for_frames(model.frames.in_) for model in models}
    for record in records:
        if record.model in series:
            series[record.model].add(record)
    return series
