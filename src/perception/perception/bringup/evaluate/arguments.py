"""The command line of `perception evaluate`."""

from __future__ import annotations

import argparse
from pathlib import Path

from perception.data.bag_types import Topics
from perception.evaluation.criteria import DetectionCriteria
from perception.nodes.replay import positive

#: Option -> what it names; of Topics.
TOPIC_OPTIONS = {
    "labels_topic": "labelled_points",
    "objects_topic": "objects",
    "velocities_topic": "velocities",
    "odometry_topic": "odometry",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    option = parser.add_argument
    option("bags", nargs="+", type=Path, metavar="BAG", help="rosbag2 folders or files, MCAP or SQLite")
    option("--models", nargs="+", required=True, metavar="MODEL", help="bundles: folders, or names in config/models; "
           "NAME=MODEL gives one another name in the results")  # fmt: skip
    option("--out", type=Path, default=Path("out/evaluation"), metavar="FOLDER", help="where the report, metrics.json "
           "and the frames' records go (default: %(default)s)")  # fmt: skip
    option("--truth", type=Path, metavar="BAG", help="the truth, where it is in another bag")
    option("--config", default="", metavar="FILE", help="how the robot is deployed (default: config/bringup.yaml): how "
           "its nodes read clouds; online all of it but its networks and input")  # fmt: skip
    option("--limit", type=_count, metavar="N", help="only the first N frames of each bag")
    option("--device", default="cpu", help="where networks run: cpu, cuda, cuda:N (default: %(default)s)")
    option("--label-set", choices=("semantic_kitti", "nuscenes_lidarseg"), help="in whose classes labels are judged "
           "(default: the network's own)")  # fmt: skip
    option("--fail-if", action="append", default=[], metavar="CONDITION", help='exit with 1 when it holds, such as '
           '"mAP < 0.5" or "latency.total.p99 > 100"; may be given several times')  # fmt: skip
    option("--write-bags", action="store_true", help="also write inputs, truth and results as bags")
    _add_criteria(parser)
    _add_modes(parser)
    _add_topics(parser)


def _add_criteria(parser: argparse.ArgumentParser) -> None:
    group, default = parser.add_argument_group("objects that count"), DetectionCriteria()
    group.add_argument("--range-m", type=positive, default=default.range_m, metavar="M", help="no farther from the "
                       "sensor than this, seen from above (default: %(default)g)")  # fmt: skip
    group.add_argument("--least-points", type=_natural, default=default.least_points, metavar="N", help="need not be "
                       "found where they show fewer LiDAR points (default: %(default)s)")  # fmt: skip


def _add_modes(parser: argparse.ArgumentParser) -> None:
    offline = parser.add_argument_group("offline: every frame, without ROS, as fast as it goes")
    offline.add_argument("--workers", type=_count, metavar="N", help="processes (default: one a core; on a GPU, 1)")
    offline.add_argument("--ray", nargs="?", const="", metavar="ADDRESS", help="work on bags as tasks of a Ray "
                         "cluster, or of a local one")  # fmt: skip
    online = parser.add_argument_group("online: the real nodes, the bag replayed in real time")
    online.add_argument("--online", action="store_true", help="evaluate the running graph")
    online.add_argument("--rate", type=positive, default=1.0, metavar="R", help="bag seconds a second (default: 1)")


def _add_topics(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("topics of the bags")
    group.add_argument("--points-topic", metavar="TOPIC", help="the clouds (default: the only ones that are no truth)")
    for name, attribute in TOPIC_OPTIONS.items():
        default = getattr(Topics, attribute)
        group.add_argument(
            f"--{name.replace('_', '-')}", default=default, metavar="TOPIC", help="(default: %(default)s)"
        )


def topics_of(arguments: argparse.Namespace) -> Topics:
    """Where the parts of the bags are."""
    given = {attribute: getattr(arguments, name) for name, attribute in TOPIC_OPTIONS.items()}
    return Topics(**given, **({"points": arguments.points_topic} if arguments.points_topic else {}))


def _count(text: str) -> int:
    return _natural(text, 1)


def _natural(text: str, least: int = 0) -> int:
    value = int(text)
    if value < least:
        raise argparse.ArgumentTypeError(f"expected {least} or more, got {text}")
    return value
