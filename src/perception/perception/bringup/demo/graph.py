"""The real graph of the demo: bring-up, replay and recorder, each in a process of its own, over DDS."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from perception.bringup.description import NAMESPACE
from perception.bringup.graph.children import Child, GraphError
from perception.bringup.graph.isolation import isolated_environment
from perception.data import bags
from perception.nodes.recorded import NodeCounts, RecordedFrame
from perception.nodes.recorder import Recorder, RecorderThread
from perception.ros.middleware import prepare_environment

POINTS_TOPIC = "/points"
TRUTH_TOPICS = "/ground_truth/*"
START_TIMEOUT_S = 120.0
SETTLE_TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Recording:
    """What came out of the graph for one bag.

    Attributes:
        published: clouds that were replayed.
        frames: by stamp, those that came out whole, with their timings.
        dropped_by_reason: every other cloud.
    """

    published: int
    frames: Mapping[int, RecordedFrame]
    dropped_by_reason: Mapping[str, int]


@dataclass
class Graph:
    """The running graph; `play` sends one bag through it.

    Attributes:
        node: full name of the node whose results are recorded.
    """

    node: str
    bringup: Child
    recorder: Recorder
    logs: Path
    environment: Mapping[str, str]

    def play(self, bag: Path, rate: float) -> Recording:
        """Replay a bag, wait until nothing is on its way any more, and account for every cloud.

        Raises:
            GraphError: the graph or the replay failed.
        """
        before = self.recorder.counts or NodeCounts()
        self.recorder.clear()
        summary = bags.drive_summary(bag)
        words = ["replay", str(bag), "--rate", f"{rate:g}", "--exclude", TRUTH_TOPICS]
        words += ["--wait-for-subscribers", POINTS_TOPIC]
        with Child(words, self.logs / f"replay_{bag.name}.log", self.environment) as replay:
            replay.wait(START_TIMEOUT_S + 3 * summary.duration_s / rate)
        after = self._settled_counts()
        if after.received < before.received:
            raise self.bringup.failure(f"{self.node} was restarted during the replay")
        published = after.published - before.published
        self._wait_for(lambda: self._complete() >= published, 5.0)
        frames = {stamp: frame for stamp, frame in self.recorder.frames().items() if frame.is_complete}
        return Recording(summary.frames, frames, dropped_by_reason(summary.frames, before, after, len(frames)))

    def _complete(self) -> int:
        return sum(frame.is_complete for frame in self.recorder.frames().values())

    def _settled_counts(self) -> NodeCounts:
        """What the node says once it has dealt with every cloud; two reports, as one may be older than the last cloud.

        Raises:
            GraphError: it does not get there.
        """
        reports = self.recorder.reports
        settled = self._wait_for(
            lambda: (
                self.recorder.reports >= reports + 2
                and self.recorder.counts is not None
                and self.recorder.counts.is_settled
            ),
            SETTLE_TIMEOUT_S,
        )
        if not settled or self.recorder.counts is None:
            raise self.bringup.failure(f"{self.node} did not finish within {SETTLE_TIMEOUT_S:.0f} s")
        return self.recorder.counts

    def wait_until_active(self) -> None:
        """Wait for the node to take clouds.

        Raises:
            GraphError: it fails, or takes too long.
        """
        if not self._wait_for(lambda: self.recorder.state.is_active or self.recorder.state.failure, START_TIMEOUT_S):
            raise self.bringup.failure(f"{self.node} was not active within {START_TIMEOUT_S:.0f} s")
        if self.recorder.state.failure:
            raise GraphError(f"{self.node}: {self.recorder.state.failure}")

    def _wait_for(self, condition: Callable[[], object], timeout_s: float) -> bool:
        """Poll a condition while the graph lives; whether it came true in time."""
        deadline_s = time.monotonic() + timeout_s
        while not condition():
            self.bringup.check()
            if not self.bringup.is_running():
                raise self.bringup.failure("`perception bringup` ended by itself")
            if time.monotonic() > deadline_s:
                return False
            time.sleep(0.05)
        return True


def dropped_by_reason(published: int, before: NodeCounts, after: NodeCounts, came_out: int) -> dict[str, int]:
    """Why clouds gave no result: the node's own reasons, and what was lost on the way to it or from it."""
    known_before = before.dropped or {}
    reasons = {reason: count - known_before.get(reason, 0) for reason, count in (after.dropped or {}).items()}
    reasons["lost_before_node"] = published - (after.received - before.received)
    reasons["lost_after_node"] = (after.published - before.published) - came_out
    return {reason: count for reason, count in reasons.items() if count}


@contextmanager
def running_graph(bundle: str, logs: Path, task: str = "segmentation") -> Iterator[Graph]:
    """Start bring-up with one bundle and the recorder, and wait until the node of its task is active.

    Raises:
        GraphError: the graph does not come up; the message ends with its last lines.
    """
    environment = isolated_environment() | {"ROS_LOG_DIR": str((logs / "ros").resolve())}
    os.environ.update(environment)
    prepare_environment()
    words, node = bringup_words(bundle), f"{NAMESPACE}/{task}"
    with (
        RecorderThread(node, task, int(environment["ROS_DOMAIN_ID"])) as recorder,
        Child(words, logs / f"bringup_{task}.log", environment) as bringup,
    ):
        graph = Graph(node, bringup, recorder, logs, environment)
        graph.wait_until_active()
        yield graph


def bringup_words(bundle: str) -> list[str]:
    """The command line that gives the clouds of POINTS_TOPIC to a bundle."""
    return ["bringup", f"models:={bundle}", f"input/pointcloud:={POINTS_TOPIC}", "use_sim_time:=true"]
