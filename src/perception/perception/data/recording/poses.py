"""Where the frames of a recorded vehicle are, as far as a bag tells."""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perception.data.bag_messages import decode_odometry
from perception.data.bag_types import BagError, stamp_ns_of
from perception.data.poses import inverse
from perception.data.recording.read_ahead import JUMP_NS
from perception.data.static_tree import StaticTree
from perception.data.transforms import TransformBuffer, TransformError

DYNAMIC_TOPIC, STATIC_TOPIC = "/tf", "/tf_static"
#: Where links that hold for ever begin: nothing in a bag was stamped before.
ALWAYS_NS = 0
#: A tree of moving frames remembers so much; what is stamped later than that after all before it begins a new one.
HISTORY_S = 10.0
#: Trees that are kept: clouds may have been recorded before a jump that was read ahead of them, or amid two.
TREES_KEPT = 3


class Poses:
    """The transforms of a bag around a moment, moving ones interpolated as tf does.

    Odometry counts where /tf says nothing about its child frame. Stamps that jump begin a new tree of moving frames;
    those before are kept for a while, for the clouds that were recorded before the jump.

    Args:
        fixed_frame: in which the world stands still.
    """

    def __init__(self, fixed_frame: str) -> None:
        self._fixed_frame = fixed_frame
        self._fixed_links: dict[str, tuple[str, Any]] = {}
        self._tree = StaticTree()
        self._moving_children: set[str] = set()
        self._odometry_children: set[str] = set()
        self._buffers: deque[TransformBuffer] = deque([TransformBuffer(HISTORY_S)], maxlen=TREES_KEPT)
        self._newest_ns: int | None = None

    def add(self, topic: str, message: Any) -> None:
        """Take a message of /tf, /tf_static or an odometry.

        Raises:
            BagError: it holds no transform.
        """
        try:
            if topic == STATIC_TOPIC:
                self._add_static(message)
            elif topic == DYNAMIC_TOPIC:
                for link in message.transforms:
                    self._moving_children.add(link.child_frame_id.lstrip("/"))
                    self._add_moving(link, link.transform.translation, link.transform.rotation)
            elif self._needs(message):
                self._odometry_children.add(message.child_frame_id.lstrip("/"))
                self._add_moving(message, message.pose.pose.position, message.pose.pose.orientation)
        except (AttributeError, ValueError) as error:
            raise BagError(f"no transform ({error})") from None

    @property
    def needs_odometry(self) -> bool:
        """Whether of some frame only odometry tells where it is."""
        return not self._odometry_children <= self._moving_children | set(self._fixed_links)

    def base_from(self, base_frame: str, frame_id: str, stamp_ns: int) -> NDArray[np.float64]:
        """Find where a sensor is on the vehicle, float64 [4, 4].

        Raises:
            BagError: the bag does not say.
        """
        base_frame, frame_id = base_frame.lstrip("/"), frame_id.lstrip("/")
        try:
            return self._tree.target_from_source(base_frame, frame_id, stamp_ns)
        except BagError:
            try:
                return self._lookup(base_frame, frame_id, stamp_ns)
            except TransformError as error:
                raise BagError(str(error)) from None

    def fixed_from(self, frame_id: str, stamp_ns: int) -> NDArray[np.float64] | None:
        """Find where a frame is in the world, float64 [4, 4]; None where the bag does not say."""
        try:
            return self._lookup(self._fixed_frame, frame_id, stamp_ns)
        except TransformError:
            return None

    def between(self, target: tuple[str, int], source: tuple[str, int]) -> NDArray[np.float64] | None:
        """Find target_from_source, float64 [4, 4], of frames at two moments (ns); None where the bag does not say."""
        if target == source:
            return np.eye(4)
        if target[1] == source[1]:
            try:
                return self._lookup(target[0], source[0], target[1])
            except TransformError:
                return None
        fixed_from_target, fixed_from_source = self.fixed_from(*target), self.fixed_from(*source)
        if fixed_from_target is None or fixed_from_source is None:
            return None
        return inverse(fixed_from_target) @ fixed_from_source

    def _lookup(self, target: str, source: str, stamp_ns: int) -> NDArray[np.float64]:
        target, source = target.lstrip("/"), source.lstrip("/")
        newest, *older = reversed(self._buffers)
        for buffer in older:
            try:
                return newest.lookup(target, source, stamp_ns)
            except TransformError:
                newest = buffer
        return newest.lookup(target, source, stamp_ns)

    def _needs(self, odometry: Any) -> bool:
        child = odometry.child_frame_id.lstrip("/")
        is_told_by_tf = child in self._moving_children or child in self._fixed_links
        return not is_told_by_tf and decode_odometry(odometry)[0] is not None

    def _add_static(self, message: Any) -> None:
        self._tree.add(message)
        for link in message.transforms:
            self._fixed_links[link.child_frame_id.lstrip("/")] = (link.header.frame_id.lstrip("/"), link.transform)
        for buffer in self._buffers:
            self._add_fixed_links(buffer)

    def _add_fixed_links(self, buffer: TransformBuffer) -> None:
        for child, (parent, transform) in self._fixed_links.items():
            buffer.add(parent, child, ALWAYS_NS, _values(transform.translation), _values(transform.rotation), True)

    def _add_moving(self, stamped: Any, translation: Any, rotation: Any) -> None:
        stamp_ns = stamp_ns_of(stamped)
        ahead_ns = 0 if self._newest_ns is None else stamp_ns - self._newest_ns
        if not -JUMP_NS <= ahead_ns <= HISTORY_S * 1e9:
            self._buffers.append(TransformBuffer(HISTORY_S))
            self._add_fixed_links(self._buffers[-1])
            self._newest_ns = stamp_ns
        self._newest_ns = max(self._newest_ns or stamp_ns, stamp_ns)
        parent, child = stamped.header.frame_id.lstrip("/"), stamped.child_frame_id.lstrip("/")
        self._buffers[-1].add(parent, child, stamp_ns, _values(translation), _values(rotation))


def _values(vector: Any) -> list[float]:
    return [getattr(vector, axis) for axis in "xyzw" if hasattr(vector, axis)]
