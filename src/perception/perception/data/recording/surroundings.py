"""All that a bag, or two, say about a cloud: its truth, and where the vehicle was."""

from __future__ import annotations

from collections import Counter, deque
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perception.data.bag_clouds import column_of, records_of
from perception.data.bag_types import BagError, Topics, stamp_ns_of
from perception.data.drive import DriveFrame
from perception.data.recording.box_truth import BoxTruth
from perception.data.recording.messages import RawMessage
from perception.data.recording.poses import DYNAMIC_TOPIC, STATIC_TOPIC, Poses
from perception.data.recording.read_ahead import By, Nearby, ReadAhead
from perception.data.recording.recording import Recording
from perception.types import Frame

#: How far from a cloud its truth and the vehicle's motion are looked for.
HORIZON_NS = 2_000_000_000
#: Where the number of messages is what bounds how far is looked ahead.
ANY_TIME_NS = 1 << 62
#: Labelled clouds are as large as clouds: so few are read beyond a cloud, and so few are held.
LABELS_AHEAD, LABELS_HELD = 2, 4

ONLY_ODOMETRY = "only odometry tells how the vehicle moved, and nodes listen to /tf: here too, no sweeps are merged"

Labels = tuple[NDArray[np.uint8] | None, NDArray[np.uint32] | None]


class Surroundings:
    """What is known around each cloud of a bag; goes along with the clouds, and holds little.

    Args:
        recording: the bag of the clouds.
        truth: the bag of the truth; the same object where it is the same bag.
        points_topic: where the clouds are.
        topics: where the rest is.
        base_frame: the vehicle's.
        fixed_frame: in which the world stands still.
        tolerance_ns: see BoxTruth.

    Attributes:
        problems: sentences about what could not be used -> how often.
        damage: sentences about places that could not be read.
    """

    def __init__(
        self,
        recording: Recording,
        truth: Recording,
        points_topic: str,
        topics: Topics,
        base_frame: str,
        fixed_frame: str,
        tolerance_ns: int,
    ) -> None:
        self._is_same = truth is recording
        #: Topics of the truth that hold something, and so far nothing for any cloud.
        self._unmatched = {topic for topic in (topics.objects, topics.labelled_points) if truth.counts.get(topic)}
        self._topics = topics
        self._base_frame = base_frame
        self.problems: Counter[str] = Counter()
        self.damage: set[str] = set()
        self._poses = Poses(fixed_frame)
        self._boxes = BoxTruth(topics, self._poses, tolerance_ns)
        self._pose_topics = {DYNAMIC_TOPIC, STATIC_TOPIC, topics.odometry}
        self._streams = self._open_streams(recording, truth, points_topic)
        self._labels_stream = self._open_labels(recording, truth, points_topic)
        self._labelled: deque[Any] = deque(maxlen=LABELS_HELD)

    def _open_streams(self, recording: Recording, truth: Recording, points_topic: str) -> list[ReadAhead]:
        truth_topics = set(self._topics.truth) - {self._topics.labelled_points}
        own = self._pose_topics | truth_topics if self._is_same else self._pose_topics
        along = {topic for topic in own if recording.lies_among(topic, points_topic)}
        streams = [self._stream(recording, along, "place")]
        streams += [self._stream(recording, {topic}, "log time") for topic in sorted(own - along)]
        if not self._is_same:
            streams.append(self._stream(truth, truth_topics, "stamp"))
        return streams

    def _open_labels(self, recording: Recording, truth: Recording, points_topic: str) -> ReadAhead:
        labelled = self._topics.labelled_points
        if self._is_same and recording.lies_among(labelled, points_topic):
            return self._stream(recording, {labelled}, "place", ANY_TIME_NS, LABELS_AHEAD)
        return self._stream(truth, {labelled}, "stamp", 0)

    def frame(self, raw: RawMessage, frame: Frame) -> DriveFrame:
        """Put together what is known about the next cloud."""
        now_ns = raw.log_time_ns if self._is_same else frame.stamp_ns
        for stream in self._streams:
            for item in stream.until(raw, frame.stamp_ns):
                self._take(item)
        self._boxes.forget(now_ns, HORIZON_NS)
        class_ids, instance_ids = self._labels(raw, frame)
        base_frame, base_from_lidar = self._base(frame)
        objects = self._boxes.at(frame.frame_id, frame.stamp_ns, now_ns)
        self._note_match(objects is not None, class_ids is not None)
        return DriveFrame(
            frame=frame,
            base_from_lidar=base_from_lidar,
            class_ids=class_ids,
            instance_ids=instance_ids,
            objects=objects,
            difficulty=None if objects is None else self._boxes.difficulty(len(objects), frame.stamp_ns),
            odom_from_base=self._odom_from(base_frame, frame.stamp_ns),
        )

    def summary(self) -> Counter[str]:
        """Count what could not be read or used, by sentences."""
        total = Counter(self.damage) + self.problems
        for stream in (*self._streams, self._labels_stream):
            total.update({f"messages on {topic} cannot be read": count for topic, count in stream.unreadable.items()})
        total.update(f"true boxes cannot be used: {reason}" for reason in self._boxes.unusable.values())
        return total

    def unmatched(self) -> list[str]:
        """Tell which truth belongs to none of the clouds; true when all were given."""
        return [
            f"the truth on {topic} belongs to none of the clouds: see its stamps" for topic in sorted(self._unmatched)
        ]

    def _note_match(self, has_objects: bool, has_labels: bool) -> None:
        self._unmatched -= {self._topics.objects} if has_objects else set()
        self._unmatched -= {self._topics.labelled_points} if has_labels else set()

    def _stream(
        self,
        recording: Recording,
        topics: set[str],
        by: By,
        horizon_ns: int = HORIZON_NS,
        most_ahead: int | None = None,
    ) -> ReadAhead:
        return ReadAhead(lambda: recording.messages(topics, self.damage.add), by, horizon_ns, most_ahead)

    def _take(self, item: Nearby) -> None:
        if item.topic not in self._pose_topics:
            self._boxes.add(item)
            return
        try:
            self._poses.add(item.topic, item.message)
        except BagError as error:
            self.problems[f"messages on {item.topic} cannot be used: {error}"] += 1

    def _base(self, frame: Frame) -> tuple[str, NDArray[np.float64]]:
        """The vehicle's frame, and where the LiDAR is in it; the LiDAR's own frame where that is not known."""
        try:
            return self._base_frame, self._poses.base_from(self._base_frame, frame.frame_id, frame.stamp_ns)
        except BagError:
            return frame.frame_id, np.eye(4)

    def _odom_from(self, base_frame: str, stamp_ns: int) -> NDArray[np.float64] | None:
        """Where the vehicle is, as far as nodes know it too."""
        if self._poses.needs_odometry:
            self.problems[ONLY_ODOMETRY] = 1
            return None
        return self._poses.fixed_from(base_frame, stamp_ns)

    def _labels(self, raw: RawMessage, frame: Frame) -> Labels:
        self._labelled.extend(item.message for item in self._labels_stream.until(raw, frame.stamp_ns))
        same_moment = [message for message in self._labelled if stamp_ns_of(message) == frame.stamp_ns]
        for message in same_moment:
            try:
                records = records_of(message)
            except BagError as error:
                self.problems[f"labelled clouds cannot be used: {error}"] += 1
                continue
            if len(records) == len(frame.cloud):
                self._labelled = deque((one for one in self._labelled if one is not message), LABELS_HELD)
                return column_of(records, "class_id", np.uint8), column_of(records, "instance", np.uint32)
        if same_moment and len(frame.cloud):
            self.problems["labelled clouds do not have as many points as the cloud of the same stamp"] += 1
        return None, None
