"""Writing a drive as a rosbag2 bag in MCAP."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perception.configuration import ConfigurationError
from perception.data import bag_types
from perception.data.bag_clouds import encode_cloud
from perception.data.bag_messages import (
    encode_camera_info,
    encode_difficulties,
    encode_image,
    encode_objects,
    encode_odometry,
    encode_transforms,
    encode_velocities,
)
from perception.data.bag_types import Topics
from perception.data.drive import CameraImage, DriveFrame
from perception.data.new_bag import NewBag

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")

#: log time in ns, topic, message type, message
Entry = tuple[int, str, str, Any]


def write_bag(
    path: Path, frames: Iterable[DriveFrame], compression: str | None, overwrite: bool, topics: Topics
) -> None:
    """Write a bag that appears under its name when it is whole, so that a crash leaves nothing there."""
    bag = NewBag(path, compression, overwrite)
    try:
        for entries in drive_messages(frames, topics):
            for _, topic, message_type, _ in entries:
                bag.announce(topic, message_type)
            for log_time_ns, topic, message_type, message in sorted(entries, key=lambda entry: entry[0]):
                bag.write(topic, message_type, log_time_ns, message)
        if not bag.topics:
            raise ConfigurationError(f"the drive has no frames, so {path.name} is not written")
        bag.finish()
    finally:
        bag.discard()


def drive_messages(frames: Iterable[DriveFrame], topics: Topics) -> Iterator[list[Entry]]:
    """Turn each frame into its messages."""
    fixed: dict[tuple[str, str], NDArray[np.float64]] = {}
    for drive_frame in frames:
        entries = list(_frame_messages(drive_frame, topics))
        if _update(fixed, _fixed_transforms(drive_frame)):
            # A late subscriber gets only the last message of a topic: it always holds every transform.
            message = encode_transforms(fixed, drive_frame.frame.stamp_ns)
            first_ns = min(log_time_ns for log_time_ns, *_ in entries)
            entries.insert(0, (first_ns, "/tf_static", bag_types.TRANSFORMS, message))
        yield entries


def _frame_messages(drive_frame: DriveFrame, topics: Topics) -> Iterator[Entry]:
    frame = drive_frame.frame
    stamp_ns, frame_id = frame.stamp_ns, frame.frame_id or "lidar"
    if drive_frame.odom_from_base is not None:
        odom_from_base = {("odom", "base_link"): drive_frame.odom_from_base}
        yield stamp_ns, "/tf", bag_types.TRANSFORMS, encode_transforms(odom_from_base, stamp_ns)
    if drive_frame.odom_from_base is not None or drive_frame.twist is not None:
        odometry = encode_odometry(drive_frame.odom_from_base, drive_frame.twist, stamp_ns, "base_link")
        yield stamp_ns, topics.odometry, bag_types.ODOMETRY, odometry
    for image in drive_frame.images:
        yield from _image_messages(image, topics)
    arrival_ns = stamp_ns + sweep_duration_ns(drive_frame)
    yield from object_messages(drive_frame, topics, arrival_ns)
    yield arrival_ns, topics.points, bag_types.POINT_CLOUD, encode_cloud(frame.cloud, stamp_ns, frame_id)
    # Last, so that it fills a chunk of its own, which a reader that wants no ground truth never loads.
    yield from label_messages(drive_frame, topics, arrival_ns)


def object_messages(drive_frame: DriveFrame, topics: Topics, log_time_ns: int) -> Iterator[Entry]:
    """Turn the true objects of a frame into messages, if they are known."""
    objects, frame = drive_frame.objects, drive_frame.frame
    if objects is None:
        return
    place = frame.stamp_ns, frame.frame_id or "lidar"
    if np.isfinite(objects.velocities).any():
        yield log_time_ns, topics.velocities, bag_types.POINT_CLOUD, encode_velocities(objects, *place)
    if drive_frame.difficulty is not None:
        difficulties = encode_difficulties(objects, drive_frame.difficulty, *place)
        yield log_time_ns, topics.difficulties, bag_types.POINT_CLOUD, difficulties
    yield log_time_ns, topics.objects, bag_types.DETECTIONS, encode_objects(objects, *place)


def label_messages(drive_frame: DriveFrame, topics: Topics, log_time_ns: int) -> Iterator[Entry]:
    """Turn the true labels of a frame into a message, if they are known."""
    frame, labels = drive_frame.frame, (drive_frame.class_ids, drive_frame.instance_ids)
    if any(values is not None for values in labels):
        labelled = encode_cloud(frame.cloud, frame.stamp_ns, frame.frame_id or "lidar", *labels)
        yield log_time_ns, topics.labelled_points, bag_types.POINT_CLOUD, labelled


def _image_messages(image: CameraImage, topics: Topics) -> Iterator[Entry]:
    if not NAME.fullmatch(image.name):
        raise ConfigurationError(f"camera name '{image.name}' cannot be a topic: use letters, digits and underscores")
    yield image.stamp_ns, topics.camera_info(image.name), bag_types.CAMERA_INFO, encode_camera_info(image)
    yield image.stamp_ns, topics.image(image.name), bag_types.IMAGE, encode_image(image)


def sweep_duration_ns(drive_frame: DriveFrame) -> int:
    """Time from the stamp to the last point, after which a driver publishes the sweep; 0 without point times."""
    time_s = drive_frame.frame.cloud.time_s
    if time_s is None or not np.isfinite(time_s).any():
        return 0
    return max(0, round(float(time_s[np.isfinite(time_s)].max()) * 1e9))


def _fixed_transforms(drive_frame: DriveFrame) -> dict[tuple[str, str], NDArray[np.float64]]:
    fixed = {("base_link", drive_frame.frame.frame_id or "lidar"): drive_frame.base_from_lidar}
    fixed.update({("base_link", image.name): image.base_from_camera for image in drive_frame.images})
    if drive_frame.odom_from_base is not None:
        fixed["map", "odom"] = np.eye(4)
    return fixed


def _update(known: dict[tuple[str, str], NDArray[np.float64]], now: dict[tuple[str, str], NDArray[np.float64]]) -> bool:
    changed = any(key not in known or not np.array_equal(known[key], value) for key, value in now.items())
    known.update(now)
    return changed
