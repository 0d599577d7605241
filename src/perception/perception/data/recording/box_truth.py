"""True boxes for a cloud, from messages that need not have its stamp."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from perception.data.bag_messages import decode_difficulties, decode_objects
from perception.data.bag_types import BagError, Topics, stamp_ns_of
from perception.data.boxes import moved
from perception.data.recording.poses import Poses
from perception.data.recording.read_ahead import Nearby
from perception.types import Boxes3D

#: Neighbours further apart than this say nothing about the time between them: objects turn and stop.
MAX_GAP_NS = 1_000_000_000
#: The same where the sensor's own motion is not known.
MAX_GAP_WITHOUT_POSES_NS = 200_000_000


class _Truth(NamedTuple):
    stamp_ns: int
    frame_id: str
    boxes: Boxes3D


class BoxTruth:
    """The true boxes near the clouds.

    A cloud gets the boxes of its own stamp; else those between the truth before and after it, object by object; else
    the nearest in time. What has another stamp is moved by the vehicle's own motion, where that is known.

    Args:
        topics: of the boxes, their velocities and their difficulties.
        poses: where the frames were.
        tolerance_ns: how far away the nearest may be.
    """

    def __init__(self, topics: Topics, poses: Poses, tolerance_ns: int) -> None:
        self._poses = poses
        self._tolerance_ns = tolerance_ns
        self._objects: deque[Nearby] = deque()
        self._velocities: deque[Nearby] = deque()
        self._difficulties: deque[Nearby] = deque()
        self._of_topic = {
            topics.objects: self._objects,
            topics.velocities: self._velocities,
            topics.difficulties: self._difficulties,
        }
        #: Stamp -> why the truth of that moment cannot be used.
        self.unusable: dict[int, str] = {}

    def add(self, item: Nearby) -> None:
        """Take a message of one of the topics."""
        self._of_topic[item.topic].append(item)

    def forget(self, now_ns: int, horizon_ns: int) -> None:
        """Forget what is not near."""
        for items in self._of_topic.values():
            while items and abs(items[0].time_ns - now_ns) > horizon_ns:
                items.popleft()

    def at(self, frame_id: str, stamp_ns: int, now_ns: int) -> Boxes3D | None:
        """Find the boxes for a cloud, in its frame; None where nothing is known about its time.

        Args:
            frame_id: the cloud's frame.
            stamp_ns: its stamp.
            now_ns: its time in the clock of the messages, which tells apart messages of the same stamp.
        """
        by_nearness = sorted(self._objects, key=lambda item: abs(item.time_ns - now_ns))
        stamps = [stamp_ns_of(item.message) for item in by_nearness]
        if stamp_ns in stamps:
            return self._moved(self._read(by_nearness[stamps.index(stamp_ns)].message), frame_id, stamp_ns)
        before_ns = max((stamp for stamp in stamps if stamp < stamp_ns), default=None)
        after_ns = min((stamp for stamp in stamps if stamp > stamp_ns), default=None)
        sides = [by_nearness[stamps.index(stamp)] for stamp in (before_ns, after_ns) if stamp is not None]
        known = [truth for side in sides if (truth := self._read(side.message)) is not None]
        if len(known) == 2 and (between := self._between(known[0], known[1], frame_id, stamp_ns)) is not None:
            return between
        nearest = min(known, key=lambda truth: abs(truth.stamp_ns - stamp_ns), default=None)
        if nearest is None or abs(nearest.stamp_ns - stamp_ns) > self._tolerance_ns:
            return None
        return self._moved(nearest, frame_id, stamp_ns)

    def difficulty(self, count: int, stamp_ns: int) -> NDArray[np.uint8] | None:
        """Find how hard a cloud's objects, so many, are to see; None where that was not said of its very stamp."""
        message = _of_stamp(self._difficulties, stamp_ns)
        try:
            return None if message is None else decode_difficulties(message, count)
        except BagError as error:
            self.unusable[stamp_ns] = str(error)
            return None

    def _read(self, message: Any) -> _Truth | None:
        stamp_ns = stamp_ns_of(message)
        velocities = _of_stamp(self._velocities, stamp_ns)
        try:
            return _Truth(stamp_ns, message.header.frame_id, decode_objects(message, velocities))
        except (BagError, AttributeError, ValueError) as error:
            self.unusable[stamp_ns] = str(error)
            return None

    def _moved(self, truth: _Truth | None, frame_id: str, stamp_ns: int) -> Boxes3D | None:
        """Boxes as the cloud's frame has them at its stamp; as they are where only the sensor's motion is unknown."""
        if truth is None:
            return None
        source = truth.frame_id or frame_id, truth.stamp_ns
        cloud_from_truth = self._poses.between((frame_id, stamp_ns), source)
        if cloud_from_truth is None and source[0] != frame_id:
            self.unusable[truth.stamp_ns] = f"it is not known where {source[0]} is at that time"
            return None
        if cloud_from_truth is None or source == (frame_id, stamp_ns):
            return truth.boxes
        return moved(truth.boxes, cloud_from_truth[:3, :3], cloud_from_truth[:3, 3])

    def _between(self, before: _Truth, after: _Truth, frame_id: str, stamp_ns: int) -> Boxes3D | None:
        knows_motion = self._poses.between((frame_id, stamp_ns), (frame_id, before.stamp_ns)) is not None
        gap_ns = after.stamp_ns - before.stamp_ns
        has_ids = all(len(set(truth.boxes.ids)) == len(truth.boxes) for truth in (before, after))
        if not has_ids or gap_ns > (MAX_GAP_NS if knows_motion else MAX_GAP_WITHOUT_POSES_NS):
            return None
        nearer, other = sorted((before, after), key=lambda truth: abs(truth.stamp_ns - stamp_ns))
        boxes, others = (self._moved(truth, frame_id, stamp_ns) for truth in (nearer, other))
        if boxes is None or others is None:
            return None
        seconds = (stamp_ns - nearer.stamp_ns) / 1e9
        return interpolated(boxes, others, abs(stamp_ns - nearer.stamp_ns) / gap_ns, seconds)


def _of_stamp(items: Iterable[Nearby], stamp_ns: int) -> Any | None:
    return next((item.message for item in items if stamp_ns_of(item.message) == stamp_ns), None)


def interpolated(boxes: Boxes3D, others: Boxes3D, share: float, seconds: float) -> Boxes3D:
    """Move boxes towards where the same objects are at another moment.

    Args:
        boxes: with ids.
        others: the same objects at the other moment, in the same frame, with ids.
        share: how far on the way, 0..1.
        seconds: how much later that is; objects that are not among the others go on at their own velocity.
    """
    rows = {number: row for row, number in enumerate(others.ids)}
    target = np.array([rows.get(number, -1) for number in boxes.ids], np.int64)
    is_known = target >= 0
    step = np.zeros((len(boxes), 3))
    step[:, :2] = np.nan_to_num(boxes.velocities) * seconds
    turn, growth, change = np.zeros(len(boxes)), np.zeros((len(boxes), 3)), np.zeros((len(boxes), 2))
    there = target[is_known]
    step[is_known] = share * (others.centers[there] - boxes.centers[is_known])
    turn[is_known] = share * (np.mod(others.yaws[there] - boxes.yaws[is_known] + np.pi, 2 * np.pi) - np.pi)
    growth[is_known] = share * (others.sizes[there] - boxes.sizes[is_known])
    change[is_known] = share * np.nan_to_num(others.velocities[there] - boxes.velocities[is_known])
    return replace(
        boxes,
        centers=(boxes.centers + step).astype(np.float32),
        yaws=(boxes.yaws + turn).astype(np.float32),
        sizes=(boxes.sizes + growth).astype(np.float32),
        velocities=(boxes.velocities + change).astype(np.float32),
    )
