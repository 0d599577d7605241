"""Send a bag through the graph, and keep what comes out of each cloud."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from types import TracebackType

from perception.bringup.graph.children import Child, GraphError
from perception.bringup.graph.configuration import POINTS_TOPIC
from perception.bringup.graph.matching import match
from perception.bringup.graph.replayable import replayable
from perception.bringup.graph.running import POLL_S, START_TIMEOUT_S, Graph
from perception.bringup.graph.spool import Spool
from perception.nodes.recorded import RecordedFrame
from perception.nodes.replay_trace import PublishedMessage, read_trace
from perception.ros.bag_selection import SelectedBag, Selection

#: What nodes take beside clouds. The rest of a bag (cameras) would only keep the replay busy.
TRANSFORM_TOPICS = ("/tf", "/tf_static")
#: A recorder's clock that is set while it records leaves a gap of hours.
MAX_GAP_S = 10.0
#: The last messages may still be on their way to the recorder when the node has counted them.
ARRIVAL_TIMEOUT_S = 5.0
#: A replay that is to end with a certain cloud ends so much later; the next one is further away.
AFTER_LAST_S = 1e-3


@dataclass(frozen=True)
class Replay:
    """What is played, and how fast.

    Attributes:
        bag: a rosbag2 folder or file.
        topics: that of its clouds first.
        duration_s: how much of the bag is played.
        rate: bag seconds a second.
    """

    bag: Path
    topics: tuple[str, ...]
    duration_s: float
    rate: float

    @classmethod
    def of_bag(
        cls,
        bag: Path,
        scratch: Path,
        points_topic: str = POINTS_TOPIC,
        rate: float = 1.0,
        limit: int | None = None,
    ) -> Replay:
        """Say how to play the clouds of a bag, or only so many of them.

        Args:
            bag: a rosbag2 folder or file, also a damaged one.
            scratch: folder for what can be saved of such a bag.
            points_topic: where its clouds are.
            rate: bag seconds a second.
            limit: so many clouds; None: all.

        Raises:
            ConfigurationError: nothing of the bag can be replayed, or it has no clouds on this topic.
        """
        bag = replayable(bag, (points_topic, *TRANSFORM_TOPICS), scratch / f"{bag.name}.replayed")
        with SelectedBag(bag, Selection(topics=(points_topic,))) as selected:
            transforms = [topic for topic in TRANSFORM_TOPICS if topic in selected.recorded]
            last = None if limit is None else next(islice(selected.messages(), limit - 1, None), None)
            duration_s = selected.duration_s
            if last is not None:
                duration_s = min(duration_s, (last.time_ns - selected.start_ns) / 1e9 + AFTER_LAST_S)
            return cls(bag, (points_topic, *transforms), duration_s, rate)

    def words(self, subscribers: int, trace: Path) -> list[str]:
        """The command that plays it to so many nodes."""
        words = ["replay", str(self.bag), "--rate", f"{self.rate:g}", "--trace", str(trace)]
        words += ["--max-gap-s", f"{MAX_GAP_S:g}", "--duration-s", f"{self.duration_s:.6f}", "--topics", *self.topics]
        words += ["--wait-for-subscribers", *self.topics[:1] * subscribers]
        return [*words, "--ros-args", "-r", f"{self.topics[0]}:={POINTS_TOPIC}"]


class Playback(AbstractContextManager["Playback"]):
    """A bag's way through the graph, and then what came of it.

    Memory holds a few numbers a cloud; results wait on disk.

    Attributes:
        clouds: that were published, in that order, once `play` has returned.
        problem: why the replay ended before the bag's end, where the bag is damaged there; empty where it did not.
        interruption: what ended the replay before the bag's end (Ctrl-C); None: nothing did.
    """

    def __init__(self, graph: Graph, replay: Replay) -> None:
        self._graph, self._replay = graph, replay
        self._files = ExitStack()
        self._spools = {node: self._files.enter_context(Spool(graph.logs)) for node in graph.recorders}
        self._numbers: dict[str, list[int | None]] = {}
        self._incomplete: dict[str, frozenset[int]] = {}
        self.clouds: Sequence[PublishedMessage] = ()
        self.problem = ""
        self.interruption: KeyboardInterrupt | None = None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._files.close()

    def play(self) -> None:
        """Play the bag, and wait until nothing is on its way any more.

        Ctrl-C ends the replay: what came out until then counts.

        Raises:
            GraphError: the graph or the replay failed.
        """
        graph, trace = self._graph, self._graph.logs / "replay_trace.csv"
        before = {node: graph.received(node) for node in graph.recorders}
        for recorder in graph.recorders.values():  # what is left of a bag before
            recorder.take()
            recorder.take_incomplete()
        try:
            self._run_replay(trace)
        except KeyboardInterrupt as interruption:
            self.interruption = interruption
        graph.wait_until_settled()
        self._wait_for_arrivals({node: graph.received(node) - count for node, count in before.items()})
        self.clouds = [cloud for cloud in read_trace(trace) if cloud.topic == self._replay.topics[0]]
        trace.unlink()
        self._numbers = {node: match(self.clouds, spool.arrivals) for node, spool in self._spools.items()}

    def _run_replay(self, trace: Path) -> None:
        graph, replay = self._graph, self._replay
        log = graph.logs / f"replay_{replay.bag.name}.log"
        deadline_s = time.monotonic() + START_TIMEOUT_S + 3 * replay.duration_s / replay.rate
        with Child(replay.words(len(graph.recorders), trace), log, graph.environment) as child:
            while child.is_running():
                graph.check()
                self._take()
                if time.monotonic() > deadline_s:
                    raise child.failure(f"the replay of {replay.bag} does not end")
                time.sleep(POLL_S)
            try:
                child.check()
            except GraphError:
                if not any(cloud.topic == replay.topics[0] for cloud in read_trace(trace)):
                    raise
                self.problem = child.last_line()

    def _take(self) -> None:
        for node, recorder in self._graph.recorders.items():
            self._spools[node].add(recorder.take())

    def _wait_for_arrivals(self, expected: Mapping[str, int]) -> None:
        """Take what is still on its way here; what does not come within a while has been lost."""

        def all_have_come() -> bool:
            self._take()
            return all(len(spool.arrivals) >= expected[node] for node, spool in self._spools.items())

        self._graph.wait_for(all_have_come, ARRIVAL_TIMEOUT_S)
        for node, recorder in self._graph.recorders.items():
            self._incomplete[node] = frozenset(recorder.take_incomplete())

    def fate(self, node: str, position: int) -> RecordedFrame:
        """What came in a node of one of `clouds`.

        A cloud of which the node said nothing was `lost_before_node`; where only a part of its result came, that is
        `lost_after_node`.
        """
        number, stamp_ns = self._numbers[node][position], self.clouds[position].stamp_ns
        if number is not None:
            return self._spools[node].frame(number)
        reason = "lost_after_node" if stamp_ns in self._incomplete[node] else "lost_before_node"
        return RecordedFrame(stamp_ns, 0, dropped=reason)
