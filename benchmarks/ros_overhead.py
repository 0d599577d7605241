"""What ROS costs a cloud: from its receipt to the publication of its labels, without the network.

    python benchmarks/ros_overhead.py [--duration-s 60] [--out out/bench]

A simulated HDL-64E drive (10 s, looped) is replayed at 10 Hz into `perception bringup`, each in processes of their own,
over DDS. Takes about two minutes, and wants an idle machine. Writes out/bench/ros_overhead.json:

  overhead_ms   p50, p95, p99 over frames of (receipt to publication) - (network) - (waiting for the network)
  wait_ms       the waiting: a cloud that comes while the network is busy with the one before waits for it. It is load,
                not overhead; it is there when the network takes longer than 100 ms
  overhead_with_wait_ms   the two together: (receipt to publication) - (network)
  inference_ms  the network
  frames        published by the replay, received by the node, labelled, dropped by reason, and lost on the way
  memory        resident memory of the stack's processes each second, and its slope after the first 10 s
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from rich.console import Console
from rich.progress import track
from rich.table import Table

from perception.bringup.demo.children import Child
from perception.bringup.demo.isolation import isolated_environment
from perception.evaluation.latency import summarize, with_totals
from perception.evaluation.machine import describe_machine
from perception.ros.middleware import prepare_environment

NODE = "/perception/segmentation"
START_TIMEOUT_S = 120.0
#: Memory is expected to be flat after this.
SETTLE_S = 10
#: The acceptance line: p99 of the overhead.
TARGET_MS = 15.0


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
        self._node = rclpy.create_node("ros_overhead", start_parameter_services=False)
        self.frames: list[dict[str, float]] = []
        self.results = 0
        self.counters: dict[str, str] = {}
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

    def wait_for_node(self) -> None:
        """Wait until the node subscribes to clouds."""
        deadline_s = time.monotonic() + START_TIMEOUT_S
        while not self._node.get_subscriptions_info_by_topic("/points"):
            if time.monotonic() > deadline_s:
                sys.exit(f"{NODE} does not subscribe to /points")
            self.spin(0.2)

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


def measure(arguments: argparse.Namespace, environment: dict[str, str]) -> dict[str, Any]:
    """Run the graph and return the figures."""
    out: Path = arguments.out
    bag = drive(out, environment)
    listener = Listener()
    words = ["replay", str(bag), "--loop", "--topics", "/points", "--wait-for-subscribers", "/points"]
    with Child(["bringup", "use_sim_time:=true"], out / "bringup.log", environment):
        listener.wait_for_node()
        processes, memory = stack_processes(), []
        replay = Child(words, out / "replay.log", environment)
        with replay:
            for _ in track(range(arguments.duration_s), description="replaying at 10 Hz"):
                listener.spin(1.0)
                memory.append(resident_mib(processes))
        # The counters are published once a second.
        listener.spin(5.0)
    listener.close()
    found = re.search(r"published (\d+) messages .*behind schedule: (.*)", replay.log.read_text())
    if found is None or not listener.frames:
        sys.exit(f"nothing was measured; see {out}/replay.log and {out}/bringup.log")
    return figures(listener, memory, int(found[1])) | {"replay_behind_schedule": found[2]}


def figures(listener: Listener, memory: list[dict[str, float]], published: int) -> dict[str, Any]:
    """Sum up what was heard."""
    counters = listener.counters
    received = int(counters["in"])
    dropped = {
        key.removeprefix("dropped."): int(value) for key, value in counters.items() if key.startswith("dropped.")
    }
    totals = np.array([sum(sample.values()) for sample in memory])
    settled = totals[SETTLE_S:]
    slope = np.polyfit(np.arange(len(settled)), settled, 1)[0] * 60 if len(settled) > 1 else float("nan")

    def percentiles(*stages: str) -> dict[str, float]:
        summary = summarize([sum(frame.get(stage, 0.0) for stage in stages) for frame in listener.frames])
        return {name: round(getattr(summary, name), 3) for name in ("p50", "p95", "p99", "max")}

    return {
        "overhead_ms": percentiles("overhead"),
        "stages_ms": {stage: percentiles(stage) for stage in ("receive", "decode", "encode", "publish")},
        "wait_ms": percentiles("wait"),
        "overhead_with_wait_ms": percentiles("overhead", "wait"),
        "inference_ms": percentiles("inference"),
        "frames": {
            "published": published,
            "received": received,
            "labelled": int(counters["out"]),
            "results_heard": listener.results,
            "dropped": dropped,
        },
        "lost": published - received,
        "memory": {
            "rss_mib": {name: [round(sample[name], 1) for sample in memory] for name in memory[0]},
            "slope_mib_per_min_after_10_s": round(float(slope), 2),
            "growth_mib_after_10_s": round(float(settled[-1] - settled[0]), 2) if len(settled) else None,
        },
    }


def print_table(result: dict[str, Any]) -> None:
    """The figures for people."""
    table = Table("", "p50", "p95", "p99", "max", title="ROS overhead, HDL-64E at 10 Hz")
    rows = {"overhead ms": result["overhead_ms"]}
    rows |= {f"  {stage} ms": row for stage, row in result["stages_ms"].items()}
    rows |= {"waiting for the network ms": result["wait_ms"], "both ms": result["overhead_with_wait_ms"]}
    rows |= {"network ms": result["inference_ms"]}
    for name, row in rows.items():
        table.add_row(name, *(f"{value:.2f}" for value in row.values()))
    frames, memory = result["frames"], result["memory"]
    console = Console(soft_wrap=True)
    console.print(table)
    dropped = ", ".join(f"{reason} {count}" for reason, count in frames["dropped"].items() if count) or "none"
    console.print(
        f"clouds: {frames['published']} published, {frames['received']} received, {result['lost']} lost, "
        f"{frames['labelled']} labelled, {frames['results_heard']} results heard; dropped: {dropped}"
    )
    rss = ", ".join(f"{name} {series[-1]:.0f}" for name, series in memory["rss_mib"].items())
    console.print(f"memory MiB: {rss}; after 10 s {memory['slope_mib_per_min_after_10_s']:+.1f} MiB/min")
    p99 = result["overhead_ms"]["p99"]
    console.print(f"p99 of the overhead {p99:.1f} ms: {'within' if p99 < TARGET_MS else 'OVER'} {TARGET_MS:.0f} ms")


def main() -> None:
    """Measure, print, and write out/bench/ros_overhead.json."""
    parser = argparse.ArgumentParser(description="What ROS costs a cloud.")
    parser.add_argument("--duration-s", type=int, default=60)
    parser.add_argument("--out", type=Path, default=Path("out/bench"))
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    environment = isolated_environment()
    os.environ.update(environment)
    prepare_environment()
    result = measure(arguments, environment) | {"machine": describe_machine().model_dump()}
    file = arguments.out / "ros_overhead.json"
    file.write_text(json.dumps(result, indent=2) + "\n")
    print_table(result)
    print(f"written to {file}")


if __name__ == "__main__":
    main()
