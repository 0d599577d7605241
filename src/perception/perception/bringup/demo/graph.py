"""The real graph of the demo: one network at a time, and what came out of it for a bag."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from perception.bringup.graph import running
from perception.bringup.graph.children import Child
from perception.bringup.graph.playing import Playback, Replay
from perception.nodes.recorded import RecordedFrame
from perception.types import DetectedObjects, LabelledCloud


@dataclass(frozen=True)
class Recording:
    """What came out of the graph for one bag.

    Attributes:
        published: clouds that were replayed.
        frames: by stamp, those that came out; their result is class ids, uint8 [N], or Boxes3D.
        dropped_by_reason: every other cloud.
    """

    published: int
    frames: Mapping[int, RecordedFrame]
    dropped_by_reason: Mapping[str, int]


@dataclass
class Graph:
    """The running graph; `play` sends one bag through it."""

    running: running.Graph

    @property
    def bringup(self) -> Child:
        """The process that started it."""
        return self.running.bringup

    def play(self, bag: Path, rate: float) -> Recording:
        """Replay a bag, wait until nothing is on its way any more, and account for every cloud.

        Raises:
            GraphError: the graph or the replay failed.
        """
        (node,) = self.running.recorders
        with Playback(self.running, Replay.of_bag(bag, rate=rate)) as playback:
            playback.play()
            fates = [playback.fate(node, position) for position in range(len(playback.clouds))]
        if playback.interruption is not None:
            raise playback.interruption
        frames = [replace(fate, result=_values(fate.result)) for fate in fates if fate.result is not None]
        by_stamp = {frame.stamp_ns: frame for frame in frames}
        return Recording(len(fates), by_stamp, Counter(fate.dropped for fate in fates if fate.dropped))


def _values(result: LabelledCloud | DetectedObjects) -> Any:
    return result.class_ids if isinstance(result, LabelledCloud) else result.boxes


@contextmanager
def running_graph(bundle: str, logs: Path, task: str = "segmentation") -> Iterator[Graph]:
    """Start bring-up with one bundle and the recorder, and wait until the node of its task is active.

    Raises:
        GraphError: the graph does not come up; the message ends with its last lines.
    """
    with running.running_graph([Path(bundle)], running.GraphOptions(logs), f"bringup_{task}") as graph:
        yield Graph(graph)
