"""A tree of moving frames: target_from_source at a time, interpolated, or a clear error.

The part of tf2 that this stack needs; no ROS in it, so that bags and tests use it too.
"""

from __future__ import annotations

import bisect
import threading
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray


class TransformError(LookupError):
    """A transform that is not known at that time; the message says which link is missing, and by how much."""


@dataclass
class _Link:
    """Where a child is in its parent over time; poses are (x, y, z, qx, qy, qz, qw)."""

    parent: str
    is_static: bool
    stamps_ns: list[int] = field(default_factory=list)
    poses: list[NDArray[np.float64]] = field(default_factory=list)

    def add(self, stamp_ns: int, pose: NDArray[np.float64], history_ns: int) -> None:
        index = bisect.bisect_left(self.stamps_ns, stamp_ns)
        if index < len(self.stamps_ns) and self.stamps_ns[index] == stamp_ns:
            self.poses[index] = pose
            return
        self.stamps_ns.insert(index, stamp_ns)
        self.poses.insert(index, pose)
        expired = bisect.bisect_left(self.stamps_ns, self.stamps_ns[-1] - history_ns)
        del self.stamps_ns[:expired], self.poses[:expired]

    def at(self, child: str, stamp_ns: int) -> NDArray[np.float64]:
        if self.is_static:
            return self.poses[-1]
        first_ns, last_ns = self.stamps_ns[0], self.stamps_ns[-1]
        if not first_ns <= stamp_ns <= last_ns:
            side, gap_ns = ("older", first_ns - stamp_ns) if stamp_ns < first_ns else ("newer", stamp_ns - last_ns)
            raise TransformError(
                f"{stamp_ns * 1e-9:.3f} s is {gap_ns * 1e-9:.3f} s {side} than anything known about '{child}' in "
                f"'{self.parent}' ({first_ns * 1e-9:.3f} to {last_ns * 1e-9:.3f} s)"
            )
        index = bisect.bisect_left(self.stamps_ns, stamp_ns)
        if self.stamps_ns[index] == stamp_ns:
            return self.poses[index]
        before_ns, after_ns = self.stamps_ns[index - 1], self.stamps_ns[index]
        ratio = (stamp_ns - before_ns) / (after_ns - before_ns)
        return interpolate(self.poses[index - 1], self.poses[index], ratio)


class TransformBuffer:
    """Remembers transforms and looks them up; safe to use from several threads.

    Args:
        history_s: how far back moving transforms are kept, from the newest of each link.
    """

    def __init__(self, history_s: float = 10.0) -> None:
        self._history_ns = int(history_s * 1e9)
        self._links: dict[str, _Link] = {}
        self._lock = threading.Lock()

    def add(
        self,
        parent: str,
        child: str,
        stamp_ns: int,
        translation: ArrayLike,
        rotation_xyzw: ArrayLike,
        is_static: bool = False,
    ) -> None:
        """Remember parent_from_child at a time.

        Args:
            parent: frame in which the child's pose is given.
            child: the frame whose pose it is; a new parent replaces the old one with its history.
            stamp_ns: when.
            translation: metres, [3].
            rotation_xyzw: quaternion [4], of any length but zero.
            is_static: whether it holds at all times.

        Raises:
            ValueError: not finite, a zero quaternion, or a frame that is its own parent.
        """
        quaternion = np.asarray(rotation_xyzw, np.float64)
        pose = np.concatenate([np.asarray(translation, np.float64), quaternion])
        length = float(np.linalg.norm(quaternion))
        if not np.isfinite(pose).all() or length == 0 or parent == child:
            raise ValueError(f"not a transform: '{child}' in '{parent}', {pose.tolist()}")
        pose[3:] /= length
        with self._lock:
            link = self._links.get(child)
            if link is None or link.parent != parent or link.is_static != is_static:
                link = self._links[child] = _Link(parent, is_static)
            link.add(stamp_ns, pose, self._history_ns)

    def clear(self) -> None:
        """Forget moving transforms, after a jump back in time; static ones stay."""
        with self._lock:
            self._links = {child: link for child, link in self._links.items() if link.is_static}

    def lookup(self, target: str, source: str, stamp_ns: int) -> NDArray[np.float64]:
        """Find target_from_source at a time, float64 [4, 4].

        Raises:
            TransformError: an unknown frame, frames that are not connected, or a time outside what is known.
        """
        with self._lock:
            upwards_from_source, upwards_from_target = self._ancestors(source), self._ancestors(target)
            shared = next((frame for frame in upwards_from_source if frame in upwards_from_target), None)
            if shared is None:
                raise TransformError(self._why_unconnected(target, source))
            shared_from_source = self._climb(upwards_from_source, shared, stamp_ns)
            shared_from_target = self._climb(upwards_from_target, shared, stamp_ns)
        return inverse(shared_from_target) @ shared_from_source

    def _ancestors(self, frame: str) -> list[str]:
        chain = [frame]
        while (link := self._links.get(chain[-1])) is not None:
            if link.parent in chain:
                raise TransformError(f"frames form a loop: {' -> '.join([*chain, link.parent])}")
            chain.append(link.parent)
        return chain

    def _climb(self, chain: list[str], ancestor: str, stamp_ns: int) -> NDArray[np.float64]:
        """The transform ancestor_from_chain[0]."""
        total = np.eye(4)
        for frame in chain[: chain.index(ancestor)]:
            total = matrix(self._links[frame].at(frame, stamp_ns)) @ total
        return total

    def _why_unconnected(self, target: str, source: str) -> str:
        known = set(self._links) | {link.parent for link in self._links.values()}
        unknown = [f"'{frame}'" for frame in (target, source) if frame not in known]
        if unknown:
            return f"nothing is known about {' and '.join(unknown)} (known: {', '.join(sorted(known)) or 'no frames'})"
        return f"'{source}' and '{target}' are not connected"


def matrix(pose: NDArray[np.float64]) -> NDArray[np.float64]:
    """Make float64 [4, 4] from a pose (x, y, z, qx, qy, qz, qw)."""
    x, y, z, w = pose[3:]
    result = np.eye(4)
    result[:3, :3] = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    result[:3, 3] = pose[:3]
    return result


def inverse(transform: NDArray[np.float64]) -> NDArray[np.float64]:
    """Invert a rigid transform, float64 [4, 4]."""
    result = np.eye(4)
    result[:3, :3] = transform[:3, :3].T
    result[:3, 3] = -transform[:3, :3].T @ transform[:3, 3]
    return result


def interpolate(before: NDArray[np.float64], after: NDArray[np.float64], ratio: float) -> NDArray[np.float64]:
    """Move from one pose to another: straight, and about a fixed axis (Shoemake's slerp, 1985)."""
    first, second = before[3:], after[3:]
    cosine = float(first @ second)
    # The two signs of a quaternion are one rotation; take the shorter way.
    second, cosine = (-second, -cosine) if cosine < 0 else (second, cosine)
    angle = np.arccos(min(cosine, 1.0))
    if angle < 1e-6:
        rotation = (1 - ratio) * first + ratio * second
    else:
        rotation = (np.sin((1 - ratio) * angle) * first + np.sin(ratio * angle) * second) / np.sin(angle)
    translation = (1 - ratio) * before[:3] + ratio * after[:3]
    return np.concatenate([translation, rotation / np.linalg.norm(rotation)])
