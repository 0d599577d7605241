"""What `perception view` shows of files: a bag, an evaluation's records, or one frame."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

from perception.configuration import ConfigurationError
from perception.data.recorded_drive import RecordedDrive
from perception.data.recording.messages import decode
from perception.data.recording.recording import Recording
from perception.evaluation.records import FrameRecord, read_records
from perception.evaluation.view.messages import Messages, is_lasting, wanted
from perception.evaluation.view.records import show_records
from perception.evaluation.view.still import draw_still, open_still
from perception.evaluation.view.viewer import Viewer

#: Below a run's folder.
RECORDS = "frames/*.jsonl"
#: Of a run that is shown without its bag.
LIDAR = "lidar"


@dataclass(frozen=True)
class Span:
    """A part of a bag, in seconds from its start."""

    start_s: float = 0.0
    duration_s: float | None = None

    def holds(self, seconds: float) -> bool:
        """Whether a moment is in it."""
        return self.start_s <= seconds and (self.duration_s is None or seconds < self.start_s + self.duration_s)


@dataclass(frozen=True)
class Recorded:
    """A bag, records of an evaluation of it, or both.

    Attributes:
        bag: None: only what the records hold.
        records: files of an evaluation.
        bag_name: the bag's name in the evaluation; None: the only one.
        topics: patterns of the bag's topics; none: all that can be shown.
        color_by: how points without classes are coloured.
        span: which part.
    """

    bag: Path | None
    records: Sequence[Path] = ()
    bag_name: str | None = None
    topics: Sequence[str] = ()
    color_by: str = "height"
    span: Span = Span()

    @classmethod
    def from_arguments(cls, arguments: argparse.Namespace) -> Recorded:
        """Sort the sources.

        Raises:
            ConfigurationError: one is not there, or there are more than one bag and one run's folder.
        """
        for source in arguments.sources:
            if not source.exists():
                raise ConfigurationError(f"{source}: there is no such bag, nor a folder that evaluate wrote")
        runs = [source for source in arguments.sources if is_run(source)]
        bags = [source for source in arguments.sources if not is_run(source)]
        if len(runs) > 1 or len(bags) > 1:
            raise ConfigurationError("view shows one bag, one run's folder, or a bag with a run of it at a time")
        return cls(
            bags[0] if bags else next((bag for run in runs for bag in bags_of(run, arguments.bag)), None),
            sorted(runs[0].glob(RECORDS)) if runs else (),
            arguments.bag,
            arguments.topics or (),
            arguments.color,
            Span(arguments.start_s, arguments.duration_s),
        )

    @property
    def name(self) -> str:
        """What the viewer calls it."""
        source = self.bag or self.records[0].parent.parent
        return source.stem

    def show(self, viewer: Viewer) -> None:
        """Show the bag, then the records on the same time line.

        Raises:
            ConfigurationError: the bag cannot be read, or it is not said which of the run's bags is meant.
        """
        if self.bag is not None:
            self._show_bag(viewer, Recording(self.bag))
        show_records(viewer, self._records(), viewer.fixed_frame or LIDAR)

    def show_still(self, number: int, picture: Path | None) -> None:
        """Show frame `number`, from 0, in Open3D, or draw it into a file.

        Raises:
            ConfigurationError: there is no such frame, or nothing can be shown or drawn here.
        """
        if self.bag is None:
            raise ConfigurationError("--open3d shows a bag's clouds: give the bag too")
        frame = next(islice(RecordedDrive(self.bag).frames(), number, None), None)
        if frame is None:
            raise ConfigurationError(f"{self.bag}: has no frame {number}; they count from 0")
        record = next((record for record in self._records() if record.stamp_ns == frame.frame.stamp_ns), None)
        found = record.found.boxes() if record is not None and record.found is not None else None
        if picture is None:
            open_still(frame, found)
        else:
            draw_still(picture, frame, found)

    def _show_bag(self, viewer: Viewer, recording: Recording) -> None:
        types = {topic: channel.message_type for topic, channel in recording.channels.items()}
        messages, problems = Messages(viewer, self.color_by), list(recording.losses)
        start_ns = recording.span_ns[0] if recording.span_ns else 0
        for raw in recording.messages(wanted(types, self.topics), problems.append):
            kind = raw.channel.message_type
            if self.span.holds((raw.log_time_ns - start_ns) * 1e-9) or is_lasting(raw.channel.topic, kind):
                messages.show(raw.channel.topic, kind, partial(decode, raw))
        for problem in problems:
            viewer.text("losses", problem, "WARN")

    def _records(self) -> Iterator[FrameRecord]:
        """The records of one bag and the span; the first one of a bag is its start."""
        name, first_ns, others = self.bag_name, None, set()
        for record in read_records(self.records):
            name = name or record.bag
            if record.bag != name:
                if self.bag_name is None:
                    raise ConfigurationError(
                        f"the run has several bags: give --bag with one, such as {name} or {record.bag}"
                    )
                others.add(record.bag)
                continue
            first_ns = record.stamp_ns if first_ns is None else first_ns
            if self.span.holds((record.stamp_ns - first_ns) * 1e-9):
                yield record
        if others and first_ns is None:
            raise ConfigurationError(f"the run has no bag {name}: give --bag with one of {', '.join(sorted(others))}")


def is_run(folder: Path) -> bool:
    """Whether an evaluation wrote this folder."""
    return any(folder.glob(RECORDS))


def bags_of(run: Path, name: str | None) -> list[Path]:
    """The bag that a run wrote with its results: the one of this name, or the only one."""
    bags = sorted((run / "bags").glob(name or "*"))
    return bags if len(bags) == 1 else []
