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
import sys
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table
from running_graph import Listener, Replay, add_output_option, drive, measured, resident_mib, stack_processes

from perception.bringup.graph.children import Child
from perception.evaluation.latency import summarize

#: Memory is expected to be flat after this.
SETTLE_S = 10
#: The acceptance line: p99 of the overhead.
TARGET_MS = 15.0


def measure(arguments: argparse.Namespace, environment: dict[str, str]) -> dict[str, Any]:
    """Run the graph and return the figures."""
    out: Path = arguments.out
    bag = drive(out, environment)
    listener = Listener()
    with Child(["bringup", "use_sim_time:=true"], out / "bringup.log", environment):
        listener.wait_for_node()
        processes, memory = stack_processes(), []
        replay = Replay(bag, out, environment)
        with replay:
            for _ in track(range(arguments.duration_s), description="replaying at 10 Hz"):
                listener.spin(1.0)
                memory.append(resident_mib(processes))
        # The counters are published once a second.
        listener.spin(5.0)
    listener.close()
    if not listener.frames:
        sys.exit(f"nothing was measured; see {out}/bringup.log")
    published, behind = replay.published()
    return figures(listener, memory, published) | {"replay_behind_schedule": behind}


def figures(listener: Listener, memory: list[dict[str, float]], published: int) -> dict[str, Any]:
    """Sum up what was heard."""
    counts = listener.counts()
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
        "frames": {"published": published, **counts},
        "lost": published - counts["received"],
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
    add_output_option(parser)
    arguments = parser.parse_args()
    print_table(measured("ros_overhead", arguments, measure))


if __name__ == "__main__":
    main()
