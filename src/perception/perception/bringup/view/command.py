"""Look at a bag, an evaluation, or a running robot: `perception view BAG | RUN_FOLDER | --topics`."""

from __future__ import annotations

import argparse
import signal
import threading
from pathlib import Path

from perception.configuration import ConfigurationError
from perception.evaluation.view.clouds import COLOR_FIELDS
from perception.evaluation.view.outputs import DATA_PORT, WEB_PORT, new_recording, open_window, save, serve
from perception.evaluation.view.viewer import SHOWN_SCORE, Viewer

#: Of the viewer's server; a robot has other uses for its memory.
MEMORY, LIVE_MEMORY = "1GiB", "256MiB"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.add_argument(
        "sources", nargs="*", type=Path, metavar="BAG|RUN_FOLDER", help="a bag, what `evaluate` wrote, or both"
    )
    parser.add_argument("--bag", metavar="NAME", help="which bag of an evaluation of several")
    parser.add_argument(
        "--topics",
        nargs="*",
        metavar="TOPIC",
        help="of the running robot, or of the bag; patterns as /camera/*",
    )
    _add_outputs(parser)
    parser.add_argument("--color", choices=list(COLOR_FIELDS), default="height", help="of points without classes")
    parser.add_argument("--min-score", type=share, default=SHOWN_SCORE, metavar="S", help=f"of boxes ({SHOWN_SCORE})")
    parser.add_argument("--fixed-frame", default="", metavar="FRAME", help="tf frame that stands still, such as odom")
    parser.add_argument(
        "--max-points", type=count, default=0, metavar="N", help="thin clouds to N points, for slow links"
    )
    parser.add_argument("--start-s", type=float, default=0.0, help="skip this much of the bag")
    parser.add_argument("--duration-s", type=float, help="show this much of the bag")
    parser.add_argument("--frame", type=count, metavar="N", help="with --open3d: which frame, from 0 (default: 0)")
    parser.add_argument("--open3d", action="store_true", help="show a single frame in Open3D's window")
    parser.add_argument("--picture", type=Path, metavar="FILE.png", help="with --open3d: draw it into a file instead")


def share(text: str) -> float:
    """Parse a number from 0 to 1."""
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"expected a number from 0 to 1, got {text}")
    return value


def count(text: str) -> int:
    """Parse a whole number of at least zero."""
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 0, got {text}")
    return value


def port(text: str) -> int:
    """Parse the number of a TCP port."""
    value = int(text)
    if not 0 < value < 65536:
        raise argparse.ArgumentTypeError(f"expected a port from 1 to 65535, got {text}")
    return value


def _add_outputs(parser: argparse.ArgumentParser) -> None:
    outputs = parser.add_mutually_exclusive_group()
    outputs.add_argument("--serve", action="store_true", help="for a browser, also on another machine")
    outputs.add_argument("--save", type=Path, metavar="FILE.rrd", help="write a file for rerun's viewer")
    parser.add_argument("--port", type=port, default=WEB_PORT, help=f"of --serve's page (default: {WEB_PORT})")
    parser.add_argument("--data-port", type=port, default=DATA_PORT, help=f"of --serve's data (default: {DATA_PORT})")
    parser.add_argument("--memory", help=f"that --serve keeps for late browsers ({MEMORY}, live {LIVE_MEMORY})")


def run(arguments: argparse.Namespace) -> int:
    """Show what was asked for; 0 at its end or when asked to stop."""
    _require_one_source(arguments)
    # Before anything is opened: a bag that is not there must not leave an empty window.
    if arguments.sources:
        from perception.bringup.view.recorded import Recorded

        recorded = Recorded.from_arguments(arguments)
        if arguments.open3d:
            recorded.show_still(arguments.frame or 0, arguments.picture)
            return 0
        viewer = open_viewer(arguments, recorded.name)
        recorded.show(viewer)
        viewer.close()
        if arguments.serve:
            print("all sent; Ctrl-C ends", flush=True)
            wait_for_a_signal()
        return 0
    from perception.bringup.view.live import show_topics

    return show_topics(open_viewer(arguments, "live"), arguments.topics, arguments.color)


def wait_for_a_signal() -> None:
    """Wait for SIGINT or SIGTERM."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    stop.wait()


def _require_one_source(arguments: argparse.Namespace) -> None:
    if not arguments.sources and arguments.topics is None:
        raise ConfigurationError("give a bag or a run's folder to look at, or --topics for a running robot")
    if (arguments.picture or arguments.frame is not None) and not arguments.open3d:
        raise ConfigurationError("--frame and --picture show a single frame: add --open3d")
    if arguments.open3d and (not arguments.sources or arguments.serve or arguments.save):
        raise ConfigurationError("--open3d shows a frame of a bag in a window, or draws it: give only a bag with it")


def open_viewer(arguments: argparse.Namespace, name: str) -> Viewer:
    """Open what the arguments ask for: a file, a web page, or a window."""
    recording = new_recording(name)
    if arguments.save is not None:
        save(recording, arguments.save)
    elif arguments.serve:
        is_live = not arguments.sources
        memory = arguments.memory or (LIVE_MEMORY if is_live else MEMORY)
        pages = serve(recording, arguments.port, arguments.data_port, memory, is_live)
        print("open in a browser, here or from another machine:", *pages, sep="\n  ", flush=True)
    else:
        open_window(recording)
    return Viewer(recording, arguments.fixed_frame, arguments.max_points, arguments.min_score)
