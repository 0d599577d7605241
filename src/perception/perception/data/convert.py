"""`perception convert`: make a bag from a public data set's folder."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from perception.configuration import ConfigurationError
from perception.data.bags import BagSummary, write_drive
from perception.data.drive import Drive, DriveFrame
from perception.data.kitti import open_kitti
from perception.data.nuscenes import open_nuscenes
from perception.data.semantic_kitti import open_semantic_kitti


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare one subcommand a data set."""
    sets = parser.add_subparsers(dest="dataset", metavar="DATASET", required=True)
    for name, help_line in (
        ("semantickitti", "one sequence's folder: velodyne/, labels/, poses.txt, calib.txt, times.txt"),
        ("kitti", "the object detection set: training/velodyne, calib, image_2, label_2"),
        ("nuscenes", "the folder that holds v1.0-mini/ (or another version), samples/ and sweeps/"),
    ):
        dataset = sets.add_parser(name, help=help_line, description=help_line)
        dataset.add_argument("source", metavar="SOURCE", type=Path, help=help_line)
        dataset.add_argument("--out", metavar="BAG", type=Path, required=True, help="the bag's folder to make")
        dataset.add_argument("--frames", metavar="N", type=int, help="stop after N frames")
        dataset.add_argument("--overwrite", action="store_true", help="replace a bag of that name")
        dataset.add_argument(
            "--compression",
            choices=("none", "zstd"),
            default="none",
            help="zstd: about 60 %% of the size, dearer replay",
        )
        if name == "nuscenes":
            dataset.add_argument("--version", dest="set_version", metavar="V", help="as in v1.0-mini")
            dataset.add_argument("--scene", metavar="NAME", help="as in scene-0061")
            dataset.add_argument("--keyframes-only", action="store_true", help="the 2 Hz frames that have boxes")


def run(arguments: argparse.Namespace) -> int:
    """Convert and say what was written.

    Raises:
        ConfigurationError: the source cannot be used, or the bag is there already.
    """
    console = Console(stderr=True)
    drive = _open(arguments)
    if arguments.frames is not None and arguments.frames < 1:
        raise ConfigurationError("--frames must be at least 1")
    count = min(drive.frame_count, arguments.frames or drive.frame_count)
    for note in drive.notes:
        console.print(f"  {note}", highlight=False, soft_wrap=True)
    summary = write_drive(
        arguments.out,
        _with_progress(drive, count, console),
        compression=None if arguments.compression == "none" else arguments.compression,
        overwrite=arguments.overwrite,
    )
    print(describe(summary))
    return 0


def describe(summary: BagSummary) -> str:
    """A bag's contents in a few lines: what, how long, how large, and each topic with its number of messages."""
    width = max(len(topic) for topic in summary.topics)
    lines = [
        f"{summary.path}: {summary.frames} frames, {summary.duration_s:.1f} s, {summary.size_bytes / 1e6:.1f} MB",
        *(f"  {topic:<{width}}  {count:>6}" for topic, count in sorted(summary.topics.items())),
    ]
    return "\n".join(lines)


def _open(arguments: argparse.Namespace) -> Drive:
    if arguments.dataset == "semantickitti":
        return open_semantic_kitti(arguments.source)
    if arguments.dataset == "kitti":
        return open_kitti(arguments.source)
    return open_nuscenes(arguments.source, arguments.set_version, arguments.scene, arguments.keyframes_only)


def _with_progress(drive: Drive, count: int, console: Console) -> Iterator[DriveFrame]:
    columns = TextColumn("converting"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        yield from progress.track(islice(drive.frames, count), total=count)
