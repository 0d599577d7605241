"""`perception demo`: simulated drives through the real ROS 2 graph, judged and reported."""

from __future__ import annotations

import argparse
import signal
import sys

from perception.bringup.demo.settings import DemoSettings, add_arguments

__all__ = ["add_arguments", "run"]


def run(arguments: argparse.Namespace) -> int:
    """Run the demo; 0 when frames came out, 1 when the graph failed or nothing came out."""
    # Leave every `with` block, so that no process of the graph outlives the demo.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    settings = DemoSettings.from_arguments(arguments)
    # Only now: `perception demo --help` needs no ROS 2.
    from perception.bringup.demo.command import run_demo

    return run_demo(settings)
