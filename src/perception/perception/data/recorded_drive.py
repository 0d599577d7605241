"""A recorded bag as the frames that an evaluation asks for, with their truth, however odd or damaged the bag is."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from perception.data.bag_clouds import as_point_cloud, decode_cloud
from perception.data.bag_types import BagError, Topics, stamp_ns_of
from perception.data.drive import DriveFrame
from perception.data.recording.messages import RawMessage, decode
from perception.data.recording.recording import Recording
from perception.data.recording.selection import check_truth_topics, choose_points_topic
from perception.data.recording.surroundings import Surroundings
from perception.types import Frame, PointCloud

DEFAULT_TOPICS = Topics()
STORAGE_SUFFIX = re.compile(r"\.(mcap|db3)(\.\w+)?$")
#: A recording that lasts this much longer than its clouds is said to miss some of them.
NOTABLE_GAP_S = 1.0


class RecordedDrive:
    """A bag that is read as it is asked for: one cloud at a time in the order of recording, whatever its clocks say.

    A cloud has the labels of its own stamp, and the true boxes of its own stamp, or between those before and after it,
    or nearest to it. Images and speeds are left out. What cannot be read or used is passed over and told in `losses`.

    Args:
        path: the bag: a folder or a file, MCAP or SQLite, compressed or not, whole or not.
        points_topic: where the clouds are; None: the only clouds that are no truth, else those on `topics.points`.
        topics: where the truth and the odometry are.
        truth: another bag that holds the truth, by the same clock of stamps; None: the same bag.
        base_frame: the vehicle's frame; where the bag does not know it, the LiDAR's stands for it.
        fixed_frame: the frame in which the world stands still.
        truth_tolerance_s: how far in time the nearest true boxes may be from a cloud.

    Attributes:
        name: the bag's.
        recording: its messages.
        truth: the messages of the bag that holds the truth; the same object where that is the same bag.
        topics: as given.
        points_topic: where the clouds are.
        expected_frames: how many clouds the bag should have, as far as it says.
        duration_s: from the first to the last message, as far as it says.

    Raises:
        BagError: there is no such bag, nothing of it can be read, or a topic does not exist.
    """

    def __init__(
        self,
        path: str | Path,
        points_topic: str | None = None,
        topics: Topics = DEFAULT_TOPICS,
        truth: str | Path | None = None,
        base_frame: str = "base_link",
        fixed_frame: str = "odom",
        truth_tolerance_s: float = 0.05,
    ) -> None:
        self._arguments = path, points_topic, topics, truth, base_frame, fixed_frame, truth_tolerance_s
        self.path = Path(path)
        self.name = self.path.name if self.path.is_dir() else STORAGE_SUFFIX.sub("", self.path.name)
        self.recording = Recording(self.path)
        self.truth = self.recording if truth is None else Recording(Path(truth))
        self.points_topic = choose_points_topic(self.recording, points_topic, topics)
        check_truth_topics(self.truth, topics)
        self.topics = topics
        self._frames = base_frame, fixed_frame
        self._tolerance_ns = round(truth_tolerance_s * 1e9)
        self.expected_frames = self.recording.counts.get(self.points_topic, 0)
        self.duration_s = self.recording.duration_s
        self._read, self._has_ended = 0, False
        self._last_log_time_ns: int | None = None
        self._problems: Counter[str] = Counter()
        self._surroundings: Surroundings | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        """In another process it is opened anew: what is open here cannot go there."""
        return _reopened, (self.name, self._arguments)

    def frames(self) -> Iterator[DriveFrame]:
        """Read the clouds, each with what is known about it; every call begins anew."""
        self._read, self._has_ended, self._last_log_time_ns, self._problems = 0, False, None, Counter()
        surroundings = self._surroundings = Surroundings(
            self.recording, self.truth, self.points_topic, self.topics, *self._frames, self._tolerance_ns
        )
        for raw in self.recording.messages([self.points_topic], lambda damage: self._problems.update([damage])):
            self._read += 1
            self._last_log_time_ns = raw.log_time_ns
            try:
                frame, message = cloud_of(raw)
            except BagError as error:
                self._problems[f"clouds on {self.points_topic} cannot be read: {error}"] += 1
                continue
            yield replace(surroundings.frame(raw, frame), message=message)
        self._has_ended = True

    @property
    def losses(self) -> list[str]:
        """What of the bag could not be read or used, one sentence each; complete once `frames` has ended."""
        if self._surroundings is None:
            return list(self.recording.losses)
        # The larger of two counts: the same damage is met by each that reads the file.
        problems = self._problems | self._surroundings.summary()
        told = [f"{problem} ({count} times)" if count > 1 else problem for problem, count in problems.items()]
        unmatched = self._surroundings.unmatched() if self._has_ended else []
        return [*self.recording.losses, *self._missing(), *told, *unmatched]

    def _missing(self) -> list[str]:
        missing, span_ns = self.expected_frames - self._read, self.recording.span_ns
        if not self._has_ended or missing <= 0:  # whoever stopped reading lost nothing
            return []
        sentence = f"{missing} of {self.expected_frames} clouds on {self.points_topic} are missing"
        gap_s = (span_ns[1] - self._last_log_time_ns) / 1e9 if span_ns and self._last_log_time_ns else 0.0
        return [sentence + (f", the last {gap_s:.1f} of {self.duration_s:.1f} s" if gap_s > NOTABLE_GAP_S else "")]


def cloud_of(raw: RawMessage) -> tuple[Frame, Any]:
    """Read a recorded cloud, and the message as ROS 2 defines it today; a cloud that is malformed has no points.

    Raises:
        BagError: it cannot be read.
    """
    message = as_point_cloud(decode(raw))
    try:
        cloud = decode_cloud(message)
    except BagError:  # a node drops it, and says why
        cloud = PointCloud(np.empty((0, 4), np.float32))
    return Frame(cloud, stamp_ns_of(message), message.header.frame_id), message


def is_cloud(raw: RawMessage) -> bool:
    """Whether a message on the topic of the clouds is a frame of the drive."""
    try:
        cloud_of(raw)
    except BagError:
        return False
    return True


def _reopened(name: str, arguments: tuple[Any, ...]) -> RecordedDrive:
    drive = RecordedDrive(*arguments)
    drive.name = name
    return drive
