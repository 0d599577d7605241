"""What the segmentation node costs a robot before it labels anything: memory, time to start, and what it imports.

    python benchmarks/node_footprint.py [--bundle spvcnn_street] [--duration-s 20] [--out out/bench]

A simulated HDL-64E drive (about 120,000 points a cloud) is already being replayed at 10 Hz when the container of the
composed nodes starts. Takes about a minute, and wants an idle machine. Writes out/bench/node_footprint.json:

  start_s    from the start of the container's process until it subscribes to clouds, and until its first labels are
             heard here; the same from the start of bring-up, which describes, starts and supervises it
  memory     resident memory in MB of the container, each second, and of bring-up with its supervisor
  modules    how many Python modules the container imports, and those of frameworks that no robot needs
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console
from rich.table import Table
from running_graph import Listener, Replay, add_output_option, drive, measured

from perception.bringup.graph.children import PERCEPTION, Child

#: The acceptance lines.
MOST_MB, MOST_START_S = 600.0, 3.0
#: What belongs on a workstation.
UNWANTED = ("torch", "scipy", "matplotlib", "open3d", "pandas", "rosbags", "perception.models", "perception.training")
IMPORT_LINE = re.compile(r"import time:\s+\d+ \|\s+\d+ \|\s+([\w.]+)")


def measure(arguments: argparse.Namespace, environment: dict[str, str]) -> dict[str, Any]:
    """Run the graph three times and return the figures."""
    out, bundle = arguments.out, arguments.bundle
    bag = drive(out, environment)
    with Replay(bag, out, environment, wait=False) as replay:
        container, words = (sys.executable, "-m", "perception.nodes.container"), container_words(bundle)
        listener = Listener()
        listener.wait_for_publisher()
        subscribed_s, labelled_s, memory = run(listener, words, container, environment, arguments, arguments.duration_s)
        frames = listener.results
        listener.close()
        listener = Listener()
        listener.wait_for_publisher()
        words = ["bringup", f"models:={bundle}", "composed:=true"]
        _, bringup_s, bringup_memory = run(listener, words, PERCEPTION, environment, arguments, 3)
        listener.close()
        replay.check()
    return {
        "bundle": str(bundle),
        "start_s": {
            "container to subscription": round(subscribed_s, 2),
            "container to first labels": round(labelled_s, 2),
            "bring-up to first labels": round(bringup_s, 2),
        },
        "memory": {
            "container_mb": memory,
            "container_mb_largest": max(memory),
            "bringup_mb_largest": max(bringup_memory),
        },
        "frames": frames,
        "modules": modules(out, environment, bundle),
    }


def container_words(bundle: Path) -> list[str]:
    """The command line of the container, as bring-up puts it together."""
    words = ["--nodes", "segmentation", "--ros-args", "-r", "__ns:=/perception", "-r", "~/input/pointcloud:=/points"]
    return [*words, "-p", f"bundle:={bundle}", "-p", "autostart:=true"]


def run(
    listener: Listener,
    words: list[str],
    program: Sequence[str],
    environment: dict[str, str],
    arguments: argparse.Namespace,
    duration_s: int,
) -> tuple[float, float, list[float]]:
    """Start the node, and watch it for a while.

    Returns:
        Seconds until it subscribes, seconds until its first labels, and the MB of all its processes each second.
    """
    begun_s = time.monotonic()
    with Child(words, arguments.out / f"{words[0].strip('-')}.log", environment, program):
        listener.wait_for_node(0.02)
        subscribed_s = time.monotonic() - begun_s
        while not listener.results:
            listener.spin(0.01)
        labelled_s = time.monotonic() - begun_s
        processes = node_processes()
        memory = []
        for _ in range(duration_s):
            listener.spin(1.0)
            memory.append(round(sum(process.memory_info().rss for process in processes) / 1e6, 1))
    return subscribed_s, labelled_s, memory


def node_processes() -> list[psutil.Process]:
    """Every process that this one started, but the replay."""
    return [one for one in psutil.Process().children(recursive=True) if "replay" not in one.cmdline()]


def modules(out: Path, environment: dict[str, str], bundle: Path) -> dict[str, Any]:
    """What the container imports until it subscribes, in a run of its own: listing imports slows them down."""
    log, listener = out / "imports.log", Listener()
    program = (sys.executable, "-X", "importtime", "-m", "perception.nodes.container")
    with Child(container_words(bundle), log, environment, program):
        listener.wait_for_node()
    listener.close()
    names = set(IMPORT_LINE.findall(log.read_text()))
    unwanted = sorted(name for name in names if any(name == one or name.startswith(f"{one}.") for one in UNWANTED))
    return {"count": len(names), "unwanted": unwanted}


def print_table(result: dict[str, Any]) -> None:
    """The figures for people."""
    table = Table("what", "figure", "limit", title=f"segmentation node with {Path(result['bundle']).name}")
    for name, seconds in result["start_s"].items():
        limit = f"{MOST_START_S:.0f} s" if name == "container to first labels" else ""
        table.add_row(f"start: {name}", f"{seconds:.2f} s", limit)
    memory, imported = result["memory"], result["modules"]
    table.add_row("resident memory, container", f"{memory['container_mb_largest']:.0f} MB", f"{MOST_MB:.0f} MB")
    table.add_row("resident memory, all of bring-up", f"{memory['bringup_mb_largest']:.0f} MB", "")
    table.add_row("clouds labelled meanwhile", str(result["frames"]), "")
    table.add_row("Python modules", str(imported["count"]), "")
    table.add_row("of frameworks", ", ".join(imported["unwanted"]) or "none", "none")
    Console().print(table)


def main() -> None:
    """Measure, print, and write out/bench/node_footprint.json."""
    parser = argparse.ArgumentParser(description="Memory, start and imports of the segmentation node.")
    parser.add_argument("--bundle", default="spvcnn_street")
    parser.add_argument("--duration-s", type=int, default=20)
    add_output_option(parser)
    arguments = parser.parse_args()
    print_table(measured("node_footprint", arguments, measure))


if __name__ == "__main__":
    main()
