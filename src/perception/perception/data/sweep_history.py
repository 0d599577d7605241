"""The last clouds of a sensor, and what they look like from where the newest was measured."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from perception.data.poses import inverse
from perception.data.sweeps import moved_sweep
from perception.data.transforms import TransformError

#: Stamps that go back by less are two sensors out of step, not a looped bag.
TIME_JUMP_NS = 500_000_000

#: Fixed frame, frame and stamp (ns) of a cloud, and whether it is the newest -> fixed_from_cloud, float64 [4, 4];
#: raises TransformError.
FindPose = Callable[[str, str, int, bool], NDArray[np.float64]]


Content = TypeVar("Content")
Points = NDArray[np.float32]


@dataclass
class Sweep(Generic[Content]):
    """A cloud, and where it was measured, as far as that is known.

    Attributes:
        points: float32 [N, C], or whatever they are made of later.
        stamp_ns: when.
        frame_id: the tf frame in which the points are.
        fixed_from_cloud: float64 [4, 4], once it was looked up.
    """

    points: Content
    stamp_ns: int
    frame_id: str
    fixed_from_cloud: NDArray[np.float64] | None = None


@dataclass(frozen=True)
class PastSweep(Generic[Content]):
    """A sweep as a later one sees it.

    Attributes:
        points: as in the history.
        newest_from_sweep: float64 [4, 4].
        lag_s: how much older it is.
    """

    points: Content
    newest_from_sweep: NDArray[np.float64]
    lag_s: float


@dataclass(frozen=True)
class LookBack(Generic[Content]):
    """What a sweep sees of those before it.

    Attributes:
        past: newest first.
        without_transform, problem: as of MergedSweeps.
    """

    past: tuple[PastSweep[Content], ...]
    without_transform: int = 0
    problem: str = ""


@dataclass(frozen=True)
class MergedSweeps:
    """Several sweeps as one.

    Attributes:
        points: float32 [N, C + 1], the newest sweep's last; the last column is how much older a point is (s).
        used: how many sweeps these are.
        without_transform: past sweeps that were left out because it is not known where they, or the newest, were
            measured.
        problem: why, for people.
    """

    points: NDArray[np.float32]
    used: int
    without_transform: int = 0
    problem: str = ""


class SweepHistory(Generic[Content]):
    """Keeps past sweeps for as long as they may be needed; safe to use from several threads.

    Args:
        find_pose: where a cloud was measured.
        on_jump: called when a sweep shows that time has jumped back, before its pose is looked up.
    """

    def __init__(self, find_pose: FindPose, on_jump: Callable[[], None] = lambda: None) -> None:
        self._find_pose = find_pose
        self._on_jump = on_jump
        self._sweeps: list[Sweep[Content]] = []
        self._fixed_frame = ""
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._sweeps)

    def clear(self) -> None:
        """Forget every sweep."""
        with self._lock:
            self._sweeps = []

    def look_back(self, newest: Sweep[Content], count: int, max_age_s: float, fixed_frame: str) -> LookBack[Content]:
        """Add a sweep, and see those before it.

        Args:
            newest: a sweep that was not given before; the history keeps it.
            count: of sweeps at most, itself included.
            max_age_s: how much older than it they may be.
            fixed_frame: the frame in which the world stands still.
        """
        with self._lock:
            if fixed_frame != self._fixed_frame:
                self._sweeps, self._fixed_frame = [], fixed_frame
            if any(sweep.stamp_ns - TIME_JUMP_NS > newest.stamp_ns for sweep in self._sweeps):
                self._sweeps = []
                self._on_jump()
            past = self._past_of(newest, count, max_age_s)
            poses, problem = self._poses(newest, past)
            self._keep(newest, count, max_age_s)
        seen = [PastSweep(one.points, pose, (newest.stamp_ns - one.stamp_ns) / 1e9) for one, pose in poses]
        return LookBack(tuple(seen), len(past) - len(poses), problem)

    def _past_of(self, newest: Sweep[Content], count: int, max_age_s: float) -> list[Sweep[Content]]:
        """The sweeps before it, newest first; those from the future, or of the same moment, are none."""
        oldest_ns = newest.stamp_ns - int(max_age_s * 1e9)
        past = [sweep for sweep in self._sweeps if oldest_ns <= sweep.stamp_ns < newest.stamp_ns]
        return sorted(past, key=lambda sweep: -sweep.stamp_ns)[: count - 1]

    def _poses(
        self, newest: Sweep[Content], past: list[Sweep[Content]]
    ) -> tuple[list[tuple[Sweep[Content], NDArray[np.float64]]], str]:
        """newest_from_sweep of those past sweeps of which it is known, and why it is not of others."""
        found, problem = [], ""
        # The newest is looked up even when it stands alone: by the time of the next one, tf may have forgotten it.
        for sweep in (newest, *past):
            try:
                if sweep.fixed_from_cloud is None:
                    sweep.fixed_from_cloud = self._find_pose(
                        self._fixed_frame, sweep.frame_id, sweep.stamp_ns, sweep is newest
                    )
            except TransformError as error:
                problem = problem or str(error)
            if newest.fixed_from_cloud is None:
                break
            if sweep is not newest and sweep.fixed_from_cloud is not None:
                found.append((sweep, inverse(newest.fixed_from_cloud) @ sweep.fixed_from_cloud))
        return found, problem

    def _keep(self, newest: Sweep[Content], count: int, max_age_s: float) -> None:
        """Keep what a later cloud may use."""
        sweeps = sorted((*self._sweeps, newest), key=lambda sweep: sweep.stamp_ns)
        oldest_ns = sweeps[-1].stamp_ns - int(max_age_s * 1e9)
        self._sweeps = [sweep for sweep in sweeps[-count:] if sweep.stamp_ns >= oldest_ns]


def merge_into(
    history: SweepHistory[Points], newest: Sweep[Points], count: int, max_age_s: float, fixed_frame: str
) -> MergedSweeps:
    """Add a sweep to a history, and see it together with those before it; see `SweepHistory.look_back`."""
    seen = history.look_back(newest, count, max_age_s, fixed_frame)
    return MergedSweeps(merged_with(newest.points, seen.past), 1 + len(seen.past), seen.without_transform, seen.problem)


def merged_with(newest: Points, past: Iterable[PastSweep[Points]]) -> Points:
    """Put a sweep, float32 [N, C], behind past ones, newest first: float32 [M, C + 1], the last column the lag (s)."""
    moved = [moved_sweep(sweep.points, sweep.newest_from_sweep, sweep.lag_s) for sweep in past]
    return np.concatenate([*reversed(moved), moved_sweep(newest, np.eye(4), 0.0)])
