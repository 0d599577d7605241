"""Whether a running node swaps its network without losing a cloud or memory.

    python benchmarks/bundle_swaps.py [BUNDLE BUNDLE] [--swaps 50] [--out out/bench]

A simulated HDL-64E drive (10 s, looped) is replayed at 10 Hz into `perception bringup`, each in processes of their own,
over DDS; meanwhile the service ~/load_bundle swaps the two bundles to and fro, one second after the other. Takes about
two minutes, and wants an idle machine. Writes out/bench/bundle_swaps.json:

  swaps      how many were asked for, made and refused, and how long they took
  frames     published by the replay, received by the node, labelled, dropped by reason; `lost`: published, not labelled
  before_the_first_swap   the same counts after six seconds: what is dropped then, the machine is too slow for
  frame_ms   receipt to publication: of frames that ended while a bundle was loading, and of the others
  memory     resident memory of the node right after every swap; its growth: the median after the last ten swaps over
             the median after swaps 6 to 15, since single values follow the sizes of the latest clouds
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table
from running_graph import Listener, Replay, add_output_option, drive, measured, resident_mib, stack_processes

from perception.bringup.graph.children import Child
from perception.evaluation.latency import summarize

#: Between two swaps: ten clouds.
PAUSE_S = 1.0
#: Before the first swap: clouds that are dropped then are those that this machine is too slow for.
CALM_S = 6.0
#: The process reaches its high-water mark in the first swaps: both networks have been loaded beside each other.
SETTLING_SWAPS = 5
#: The acceptance line: growth of the memory.
MOST_GROWTH = 0.05


def measure(arguments: argparse.Namespace, environment: dict[str, str]) -> dict[str, Any]:
    """Run the graph and return the figures."""
    out: Path = arguments.out
    bag = drive(out, environment)
    listener = Listener()
    words = ["bringup", f"models:={arguments.bundles[0]}", "use_sim_time:=true"]
    swaps, during, memory = [], [], []
    with Child(words, out / "bringup.log", environment):
        listener.wait_for_node()
        processes = stack_processes()
        replay = Replay(bag, out, environment)
        with replay:
            listener.spin(CALM_S)
            calm = listener.counts()
            for number in track(range(arguments.swaps), description="swapping at 10 Hz"):
                first, started_s = len(listener.frames), time.perf_counter()
                answer = listener.load_bundle(str(arguments.bundles[(number + 1) % 2]))
                swaps.append((answer.success, answer.message, (time.perf_counter() - started_s) * 1e3))
                memory.append(round(sum(list(resident_mib(processes).values())[1:]), 1))
                during += range(first, len(listener.frames))
                listener.spin(PAUSE_S)
        # The counters are published once a second.
        listener.spin(5.0)
    listener.close()
    return figures(listener, swaps, set(during), memory, replay.published()[0]) | {"before_the_first_swap": calm}


def figures(
    listener: Listener, swaps: list[tuple[bool, str, float]], during: set[int], memory: list[float], published: int
) -> dict[str, Any]:
    """Sum up what was heard."""
    total_ms = [frame["total"] for frame in listener.frames]
    groups = {
        "while loading": [value for number, value in enumerate(total_ms) if number in during],
        "otherwise": [value for number, value in enumerate(total_ms) if number not in during],
    }
    counts = listener.counts()
    refused = [message for success, message, _ in swaps if not success]
    settled = memory[min(SETTLING_SWAPS, len(memory) - 1) :]
    growth = float(np.median(settled[-10:]) / np.median(settled[:10])) - 1
    return {
        "swaps": {
            "asked": len(swaps),
            "refused": refused,
            "ms": summarize([duration_ms for _, _, duration_ms in swaps]).model_dump(),
        },
        "frames": {"published": published, **counts},
        "lost": published - counts["labelled"],
        "frame_ms": {name: summarize(values).model_dump() for name, values in groups.items() if values},
        "memory": {
            "node_mib": memory,
            "growth": round(growth, 4),
        },
    }


def print_table(result: dict[str, Any]) -> None:
    """The figures for people."""
    table = Table("", "p50", "p95", "p99", "max", "count", title="bundles swapped under HDL-64E clouds at 10 Hz")
    rows = {"swap ms": result["swaps"]["ms"]}
    rows |= {f"frame ms, {name}": row for name, row in result["frame_ms"].items()}
    for name, row in rows.items():
        table.add_row(name, *(f"{row[key]:.0f}" for key in ("p50", "p95", "p99", "max", "count")))
    console = Console(soft_wrap=True)
    console.print(table)
    frames, memory = result["frames"], result["memory"]
    dropped = ", ".join(f"{reason} {count}" for reason, count in frames["dropped"].items() if count) or "none"
    console.print(f"swaps: {result['swaps']['asked']} asked, {len(result['swaps']['refused'])} refused")
    console.print(
        f"clouds: {frames['published']} published, {frames['received']} received, {frames['labelled']} labelled, "
        f"{result['lost']} lost; dropped: {dropped}"
    )
    early = sum(result["before_the_first_swap"]["dropped"].values())
    if early:
        console.print(
            f"{early} of them were dropped before the first swap: this machine is too slow, or busy otherwise"
        )
    growth = memory["growth"]
    console.print(
        f"memory: {min(memory['node_mib']):.0f} to {max(memory['node_mib']):.0f} MiB; growth {growth:+.1%}: "
        f"{'within' if growth <= MOST_GROWTH else 'OVER'} {MOST_GROWTH:.0%}"
    )


def main() -> None:
    """Measure, print, and write out/bench/bundle_swaps.json."""
    parser = argparse.ArgumentParser(description="Swap the bundles of a running node.")
    parser.add_argument("bundles", nargs="*", default=["spvcnn_street", "spvcnn_street"])
    parser.add_argument("--swaps", type=int, default=50)
    add_output_option(parser)
    arguments = parser.parse_args()
    if len(arguments.bundles) != 2:
        parser.error("name two bundles")
    print_table(measured("bundle_swaps", arguments, measure))


if __name__ == "__main__":
    main()
