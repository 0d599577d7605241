"""What the benchmarks of a running graph share: the drive, the stack's processes, and a node that listens."""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from perception.bringup.graph.children import Child
from perception.bringup.graph.isolation import isolated_environment
from perception.evaluation.latency import with_totals
from perception.evaluation.machine import describe_machine
from perception.ros.middleware import prepare_environment

NODE = "/perception/segmentation"
START_TIMEOUT_S = 120.0


def add_output_option(parser: argparse.ArgumentParser) -> None:
    """Declare --out."""
    parser.add_argument("--out", type=Path, default=Path("out/bench"))


def measured(
    name: str,
    arguments: argparse.Namespace,
    measure: Callable[[argparse.Namespace, dict[str, str]], dict[str, Any]],
) -> dict[str, Any]:
    """Measure in a graph that no other program hears, and write OUT/NAME.json with a description of the machine."""
    arguments.out.mkdir(parents=True, exist_ok=True)
    environment = isolated_environment()
    os.environ.update(environment)
    prepare_environment()
    result = measure(arguments, environment) | {"machine": describe_machine().model_dump()}
    file = arguments.out / f"{name}.json"
    file.write_text(json.dumps(result, indent=2) + "\n")
    print(f"written to {file}")
    return result


class Listener:
    """A node that notes timings, counts results, and keeps the newest counters from /diagnostics."""

    def __init__(self) -> None:
        import rclpy
        from diagnostic_msgs.msg import DiagnosticArray
        from rclpy.qos import QoSProfile
        from sensor_msgs.msg import PointCloud2

        from perception_interfaces.msg import FrameTimings

        self._rclpy = rclpy
        rclpy.init(args=[])
        self._node = rclpy.create_node("benchmark", start_parameter_services=False)
        self.frames: list[dict[str, float]] = []
        self.results = 0
        self.counters: dict[str, str] = {}
        self._client: Any = None
        queue = QoSProfile(depth=20)
        self._node.create_subscription(FrameTimings, f"{NODE}/debug/timings", self._on_timings, queue)
        # Raw: what a subscriber does with the result is not measured here.
        output = f"{NODE}/output/pointcloud/segmentation"
        self._node.create_subscription(PointCloud2, output, self._on_result, queue, raw=True)
        self._node.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, queue)

    def _on_timings(self, message: Any) -> None:
        stages = {stage.name: stage.duration_ms for stage in message.stages}
        self.frames.append(with_totals(stages, message.inference_ms, message.total_ms))

    def _on_result(self, data: bytes) -> None:
        self.results += 1

    def _on_diagnostics(self, array: Any) -> None:
        for status in array.status:
            if status.name == f"{NODE}: frames":
                self.counters = {pair.key: pair.value for pair in status.values}

    def spin(self, duration_s: float) -> None:
        """Listen for a while."""
        end_s = time.monotonic() + duration_s
        while (left_s := end_s - time.monotonic()) > 0:
            self._rclpy.spin_once(self._node, timeout_sec=left_s)

    def wait_for_node(self, poll_s: float = 0.2) -> None:
        """Wait until the node subscribes to clouds."""
        found = self._node.get_subscriptions_info_by_topic
        self._wait(lambda: found("/points"), f"{NODE} does not subscribe to /points", poll_s)

    def wait_for_publisher(self) -> None:
        """Wait until somebody publishes clouds."""
        self._wait(lambda: self._node.count_publishers("/points"), "nobody publishes /points", 0.2)

    def _wait(self, condition: Callable[[], Any], failure: str, poll_s: float) -> None:
        deadline_s = time.monotonic() + START_TIMEOUT_S
        while not condition():
            if time.monotonic() > deadline_s:
                sys.exit(failure)
            self.spin(poll_s)

    def load_bundle(self, bundle: str) -> Any:
        """Ask the node for another bundle, and return its answer; listening goes on meanwhile."""
        from perception_interfaces.srv import LoadBundle

        if self._client is None:
            self._client = self._node.create_client(LoadBundle, f"{NODE}/load_bundle")
            while not self._client.service_is_ready():
                self.spin(0.1)
        future = self._client.call_async(LoadBundle.Request(bundle=bundle))
        deadline_s = time.monotonic() + START_TIMEOUT_S
        while not future.done():
            if time.monotonic() > deadline_s:
                sys.exit(f"{NODE}/load_bundle does not answer")
            self._rclpy.spin_once(self._node, timeout_sec=1.0)
        return future.result()

    def counts(self) -> dict[str, Any]:
        """Frames received, labelled, heard, and dropped by reason, as far as is known."""
        dropped = {
            key.removeprefix("dropped."): int(value) for key, value in self.counters.items() if "dropped." in key
        }
        received, labelled = (int(self.counters.get(key, 0)) for key in ("in", "out"))
        return {"received": received, "labelled": labelled, "results_heard": self.results, "dropped": dropped}

    def close(self) -> None:
        """Leave the graph."""
        self._node.destroy_node()
        self._rclpy.shutdown()


def drive(folder: Path, environment: dict[str, str]) -> Path:
    """The simulated drive, made once."""
    bag = folder / "hdl64e_10s"
    if not bag.exists():
        with Child(
            ["simulate", "--out", str(bag), "--duration-s", "10"], folder / "simulate.log", environment
        ) as child:
            child.wait(600.0)
    return bag


def resident_mib(processes: list[psutil.Process]) -> dict[str, float]:
    """Resident memory by process: the supervisor, then what it started."""
    names = ["bringup", *(process.cmdline()[2].rsplit(".", 1)[-1] for process in processes[1:])]
    return {name: process.memory_info().rss / 2**20 for name, process in zip(names, processes, strict=True)}


def stack_processes() -> list[psutil.Process]:
    """The supervisor and the node processes."""
    for child in psutil.Process().children():
        if "bringup" in child.cmdline():
            return [child, *child.children(recursive=True)]
    raise RuntimeError("perception bringup does not run")


class Replay(Child):
    """The drive, over and over at 10 Hz, with /clock.

    Args:
        bag: the drive.
        folder: where its log goes.
        environment: of the graph.
        wait: for a subscriber before the start.
    """

    def __init__(self, bag: Path, folder: Path, environment: dict[str, str], wait: bool = True) -> None:
        words = ["replay", str(bag), "--loop", "--topics", "/points"]
        words += ["--wait-for-subscribers", "/points"] if wait else []
        super().__init__(words, folder / "replay.log", environment)

    def published(self) -> tuple[int, str]:
        """How many clouds it has published, and how far behind schedule; ask when it has ended."""
        found = re.search(r"published (\d+) messages .*behind schedule: (.*)", self.log.read_text())
        if found is None:
            sys.exit(f"nothing was measured; see {self.log}")
        return int(found[1]), found[2]
