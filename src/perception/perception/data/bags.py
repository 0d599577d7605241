"""A drive as a rosbag2 bag, without a ROS 2 installation.

A bag written here holds /points and, where they are known, /ground_truth/points, /ground_truth/objects,
/ground_truth/velocities, /odometry, /tf (odom -> base_link), /tf_static (map -> odom, base_link -> each sensor) and for
each camera /camera/<name>/image/compressed with /camera/<name>/camera_info. Every header's stamp is the moment of
measurement. A message's log time is when its driver would publish it: the stamp, and for a sweep and its ground truth
the stamp plus the time of the last point.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from perception.data.bag_reader import open_bag, read_frames
from perception.data.bag_types import BagError, Topics
from perception.data.bag_writer import write_bag
from perception.data.drive import DriveFrame

__all__ = ["BagError", "BagSummary", "Topics", "drive_summary", "read_drive", "write_drive"]

DEFAULT_TOPICS = Topics()


@dataclass(frozen=True)
class BagSummary:
    """What a bag holds.

    Attributes:
        path: the bag.
        frames: sweeps on the topic of the clouds.
        start_ns: log time of the first message.
        duration_s: from the first to the last message.
        topics: number of messages of each topic.
        size_bytes: of all its files.
    """

    path: Path
    frames: int
    start_ns: int
    duration_s: float
    topics: dict[str, int]
    size_bytes: int


def write_drive(
    path: str | Path,
    frames: Iterable[DriveFrame],
    *,
    compression: str | None = None,
    overwrite: bool = False,
    topics: Topics = DEFAULT_TOPICS,
) -> BagSummary:
    """Write a drive as a rosbag2 folder in MCAP that Humble, Jazzy, Kilted and Foxglove open.

    Frames are written as they come; a crash leaves nothing under `path`. Clouds, labels, images and stamps are kept to
    the bit, poses to float64 rounding (ROS keeps rotations as quaternions), yaws modulo a turn.

    Args:
        path: the folder to make.
        frames: in the order of time.
        compression: "zstd" makes the bag smaller and its replay cost more; None stores it plainly.
        overwrite: replace a bag that is there, once the new one is whole.
        topics: other names of the topics.

    Raises:
        ConfigurationError: `path` exists, there is no frame, or a camera's name cannot be a topic.
    """
    write_bag(Path(path), frames, compression, overwrite, topics)
    return drive_summary(path, topics=topics)


def read_drive(
    path: str | Path,
    *,
    topics: Topics = DEFAULT_TOPICS,
    base_frame: str = "base_link",
    max_camera_delay_s: float = 0.1,
) -> Iterator[DriveFrame]:
    """Read a drive one frame at a time, from MCAP or SQLite, compressed or not.

    Labels, boxes and odometry belong to the sweep with the same stamp, an image to the sweep nearest in time; what the
    bag does not have is None.

    Args:
        path: the bag's folder, or its only .mcap or .db3 file.
        topics: where the parts are.
        base_frame: the vehicle's frame in /tf_static.
        max_camera_delay_s: an image further than this from every sweep is left out.

    Raises:
        BagError: the bag is damaged, has no clouds, or does not say where the LiDAR is on the vehicle.
    """
    return read_frames(Path(path), topics, base_frame, max_camera_delay_s)


def drive_summary(path: str | Path, *, topics: Topics = DEFAULT_TOPICS) -> BagSummary:
    """Say what a bag holds without reading its messages.

    Raises:
        BagError: there is no bag, or it is damaged.
    """
    path = Path(path)
    with open_bag(path) as reader:
        counts = {name: info.msgcount for name, info in reader.topics.items()}
        files = [path] if path.is_file() else [file for file in path.iterdir() if file.is_file()]
        return BagSummary(
            path=path,
            frames=counts.get(topics.points, 0),
            start_ns=reader.start_time,
            # rosbags counts the end as one nanosecond after the last message.
            duration_s=max(0, reader.duration - 1) / 1e9,
            topics=counts,
            size_bytes=sum(file.stat().st_size for file in files),
        )
