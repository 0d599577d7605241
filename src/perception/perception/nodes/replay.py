"""Publish a bag in real time, with /clock: `perception replay BAG`, and the executable `replay`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from perception.configuration import ConfigurationError
from perception.nodes.replay_options import ReplayOptions

PROGRAM = "replay"


def positive(text: str) -> float:
    """Parse a number above zero."""
    value = float(text)
    if not value > 0:
        raise argparse.ArgumentTypeError(f"expected a number above 0, got {text}")
    return value


def not_negative(text: str) -> float:
    """Parse a number of at least zero."""
    value = float(text)
    if not value >= 0:
        raise argparse.ArgumentTypeError(f"expected a number of at least 0, got {text}")
    return value


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.add_argument("bag", type=Path, help="a rosbag2 folder, .mcap or .db3 file")
    parser.add_argument("--rate", type=positive, default=1.0, help="bag seconds a second (default: 1)")
    parser.add_argument("--loop", action="store_true", help="start again at the end; /clock jumps back")
    parser.add_argument("--start-s", type=not_negative, default=0.0, help="skip this much of the bag")
    parser.add_argument("--duration-s", type=positive, help="play this much of the bag")
    parser.add_argument("--topics", nargs="+", default=(), metavar="TOPIC", help="only these; patterns as /camera/*")
    parser.add_argument("--exclude", nargs="+", default=(), metavar="TOPIC", help="not these; patterns as /camera/*")
    parser.add_argument("--no-clock", dest="clock", action="store_false", help="do not publish /clock")
    parser.add_argument(
        "--wait-for-subscribers",
        nargs="*",
        metavar="TOPIC",
        help="start when each of these topics (none: any topic) has a subscriber; name one twice for two",
    )
    parser.add_argument("--timeout-s", type=positive, default=60.0, help="give up waiting after this (default: 60)")
    parser.add_argument("--max-gap-s", type=positive, help="skip pauses of the bag that are longer than this")
    parser.add_argument("--trace", type=Path, metavar="FILE", help="write when each message was due and went out (CSV)")
    parser.add_argument("--ros-args", nargs=argparse.REMAINDER, default=(), help="ROS arguments, as for every node")


def run(arguments: argparse.Namespace) -> int:
    """Replay the bag; 0 at its end or when asked to stop, 1 when nobody subscribed in time."""
    from perception.nodes.player import replay

    return replay(ReplayOptions.from_arguments(arguments))


def main() -> int:
    """Run as `ros2 run perception replay` does."""
    parser = argparse.ArgumentParser(prog=PROGRAM, description=__doc__)
    add_arguments(parser)
    try:
        return run(parser.parse_args())
    except ConfigurationError as error:
        print(f"{PROGRAM}: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
