"""The real graph: bring-up and one recorder a node, each in a process or thread of its own, over DDS."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from perception.bringup.graph.children import Child, GraphError
from perception.bringup.graph.configuration import write_configuration
from perception.bringup.graph.isolation import isolated_environment
from perception.nodes.recorder import Recorder, RecorderThread
from perception.ros.middleware import prepare_environment

START_TIMEOUT_S = 120.0
SETTLE_TIMEOUT_S = 60.0
POLL_S = 0.05


@dataclass(frozen=True)
class GraphOptions:
    """How the graph is brought up.

    Attributes:
        logs: folder of what its processes print.
        config: how the robot is deployed; empty: config/bringup.yaml.
        device: where networks run; empty: as in that file.
    """

    logs: Path
    config: str = ""
    device: str = ""


@dataclass
class Graph:
    """A graph that runs.

    Attributes:
        recorders: one of each node, in the order of the bundles, by the node's full name.
        bringup: the process that started it.
        logs: folder of what its processes print.
        environment: what a process needs to take part in it.
    """

    recorders: Mapping[str, Recorder]
    bringup: Child
    logs: Path
    environment: Mapping[str, str]
    _received: dict[str, int] = field(default_factory=dict)

    def node_pids(self) -> tuple[int, ...]:
        """The processes in which nodes run."""
        return tuple(child.pid for child in psutil.Process(self.bringup.pid).children())

    def received(self, node: str) -> int:
        """Clouds that a node says it has received since it started."""
        counts = self.recorders[node].counts
        return 0 if counts is None else counts.received

    def check(self) -> None:
        """See whether everything still runs.

        Raises:
            GraphError: bring-up or a node has failed; the message begins with a sentence that says how.
        """
        self.bringup.check()
        if not self.bringup.is_running():
            raise self.bringup.failure("`perception bringup` ended by itself")
        for node, recorder in self.recorders.items():
            if recorder.death:
                raise self.bringup.failure(f"a process of the graph died: {recorder.death}")
            if recorder.state.failure:
                raise GraphError(f"{node}: {recorder.state.failure}")
            received = self.received(node)
            if received < self._received.get(node, 0):
                raise self.bringup.failure(f"{node} was restarted during the replay")
            self._received[node] = received

    def wait_for(self, condition: Callable[[], object], timeout_s: float) -> bool:
        """Poll a condition while the graph lives; whether it came true in time.

        Raises:
            GraphError: the graph has failed.
        """
        deadline_s = time.monotonic() + timeout_s
        while not condition():
            self.check()
            if time.monotonic() > deadline_s:
                return False
            time.sleep(POLL_S)
        return True

    def wait_until_active(self) -> None:
        """Wait for every node to take clouds.

        Raises:
            GraphError: one fails, or takes too long.
        """
        for node, recorder in self.recorders.items():
            if not self.wait_for(lambda: recorder.state.is_active, START_TIMEOUT_S):  # noqa: B023
                raise self.bringup.failure(f"{node} was not active within {START_TIMEOUT_S:.0f} s")

    def wait_until_settled(self) -> None:
        """Wait until every node says that it has dealt with each cloud; one report may be older than the last cloud.

        Raises:
            GraphError: one does not get there.
        """
        reports = {node: recorder.reports + 2 for node, recorder in self.recorders.items()}
        for node, recorder in self.recorders.items():
            if not self.wait_for(lambda: _is_settled(recorder, reports[node]), SETTLE_TIMEOUT_S):  # noqa: B023
                raise self.bringup.failure(f"{node} did not finish within {SETTLE_TIMEOUT_S:.0f} s")


@contextmanager
def _set(environment: Mapping[str, str]) -> Iterator[None]:
    """Let this process, which records, take part in the graph; afterwards all is as it was."""
    before = dict(os.environ)
    os.environ.update(environment)
    prepare_environment()
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _is_settled(recorder: Recorder, reports: int) -> bool:
    counts = recorder.counts
    return recorder.reports >= reports and counts is not None and counts.is_settled


@contextmanager
def running_graph(bundles: Sequence[Path], options: GraphOptions, name: str = "bringup") -> Iterator[Graph]:
    """Start bring-up with these bundles and the recorders, and wait until every node is active.

    Args:
        bundles: folders of the bundles; each has a node of its own.
        options: how.
        name: of the log and of the config file among the logs.

    Raises:
        GraphError: the graph does not come up; the message ends with its last lines.
        ConfigurationError: a bundle or the config file cannot be used.
    """
    config = (options.logs / f"{name}.yaml").resolve()
    description = write_configuration(config, bundles, options.config, options.device)
    environment = isolated_environment() | {"ROS_LOG_DIR": str((options.logs / "ros").resolve())}
    with ExitStack() as running:
        running.enter_context(_set(environment))
        threads = {
            name: RecorderThread(name, kind, int(environment["ROS_DOMAIN_ID"]))
            for name, kind in ((f"{node.namespace}/{node.name}", node.kind) for node in description.nodes)
        }
        recorders = {name: running.enter_context(thread) for name, thread in threads.items()}
        words = ("bringup", f"config:={config}")
        bringup = running.enter_context(Child(words, options.logs / f"{name}.log", environment))
        graph = Graph(recorders, bringup, options.logs, environment)
        graph.wait_until_active()
        yield graph
