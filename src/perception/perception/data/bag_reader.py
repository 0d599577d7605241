"""Reading a drive from a rosbag2 bag, one frame at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rosbags.highlevel import AnyReader
from rosbags.interfaces import Connection

from perception.data.bag_clouds import column_of, decode_cloud, records_of
from perception.data.bag_messages import decode_difficulties, decode_image, decode_objects, decode_odometry
from perception.data.bag_types import BagError, Topics, one_line, stamp_ns_of, typestore
from perception.data.drive import CameraImage, DriveFrame
from perception.data.static_tree import StaticTree
from perception.types import Frame, PointCloud


@contextmanager
def open_bag(path: Path) -> Iterator[AnyReader]:
    """Open a bag (a folder, or one .mcap or .db3 file).

    Raises:
        BagError: there is no bag, or it is cut short.
    """
    if not path.exists():
        raise BagError(f"{path}: there is no such bag")
    try:
        reader = AnyReader([path], default_typestore=typestore())
        reader.open()
    except (
        Exception
    ) as error:  # rosbags raises many kinds on a damaged file: struct.error, TypeError, sqlite3.Error ...
        raise BagError(f"{path}: not a complete ROS 2 bag ({one_line(error)})") from None
    try:
        yield reader
    finally:
        reader.close()


def messages(reader: AnyReader, path: Path, connections: list[Connection]) -> Iterator[tuple[str, Any]]:
    """Read (topic, message) in the order of log times.

    Raises:
        BagError: the bag is damaged.
    """
    raw = reader.messages(connections)
    while True:
        try:
            item = next(raw, None)
            message = item and reader.deserialize(item[2], item[0].msgtype)
        except Exception as error:
            raise BagError(f"{path}: damaged ({one_line(error)})") from None
        if item is None:
            return
        yield item[0].topic, message


def read_frames(path: Path, topics: Topics, base_frame: str, max_camera_delay_s: float) -> Iterator[DriveFrame]:
    """Read a bag's frames; see `perception.data.bags.read_drive`."""
    with open_bag(path) as reader:
        names = [connection.topic for connection in reader.connections]
        if topics.points not in names:
            raise BagError(f"{path}: no topic {topics.points} (it has: {', '.join(sorted(names)) or 'none'})")
        wanted = {
            topics.points,
            topics.labelled_points,
            topics.objects,
            topics.velocities,
            topics.difficulties,
            topics.odometry,
            "/tf_static",
        }
        cameras = _cameras(names, topics)
        wanted |= {topic for name in cameras for topic in (topics.image(name), topics.camera_info(name))}
        connections = [connection for connection in reader.connections if connection.topic in wanted]
        assembly = FrameAssembly(topics, base_frame, cameras, round(max_camera_delay_s * 1e9))
        for topic, message in messages(reader, path, connections):
            try:
                yield from assembly.add(topic, message)
            except BagError as error:
                raise BagError(f"{path}: {topic}: {error}") from None
        try:
            yield from assembly.finish()
        except BagError as error:
            raise BagError(f"{path}: {error}") from None


def _cameras(names: list[str], topics: Topics) -> list[str]:
    """Names of the cameras that have both topics, in the bag's order."""
    candidates = [
        name[len(topics.cameras) + 1 :].split("/")[0] for name in names if name.startswith(topics.cameras + "/")
    ]
    return [
        name for name in dict.fromkeys(candidates) if topics.image(name) in names and topics.camera_info(name) in names
    ]


class FrameAssembly:
    """Puts together what belongs to one sweep.

    A sweep is complete when the next one comes: by then all that has its stamp, and every image nearer to it than to
    the next sweep, has come too. So at most two sweeps are held, however long the bag is.
    """

    def __init__(self, topics: Topics, base_frame: str, cameras: list[str], max_camera_delay_ns: int) -> None:
        self._topics = topics
        self._base_frame = base_frame
        self._max_camera_delay_ns = max_camera_delay_ns
        self._camera_of_image = {topics.image(name): name for name in cameras}
        self._camera_of_info = {topics.camera_info(name): name for name in cameras}
        self._cloud: Any = None
        self._by_stamp: dict[str, dict[int, Any]] = {}
        self._images: list[tuple[str, Any]] = []
        self._camera_infos: dict[str, Any] = {}
        self._tree = StaticTree()

    def add(self, topic: str, message: Any) -> Iterator[DriveFrame]:
        """Take the next message; yields the sweep before it where this one is a sweep."""
        if topic == self._topics.points:
            if self._cloud is not None:
                yield self._frame(next_stamp_ns=stamp_ns_of(message))
            self._cloud = message
        elif topic == "/tf_static":
            self._tree.add(message)
        elif topic in self._camera_of_image:
            self._images.append((self._camera_of_image[topic], message))
        elif topic in self._camera_of_info:
            self._camera_infos[self._camera_of_info[topic]] = message
        else:
            self._by_stamp.setdefault(topic, {})[stamp_ns_of(message)] = message

    def finish(self) -> Iterator[DriveFrame]:
        """Yield the last sweep."""
        if self._cloud is not None:
            yield self._frame(next_stamp_ns=None)

    def _frame(self, next_stamp_ns: int | None) -> DriveFrame:
        stamp_ns = stamp_ns_of(self._cloud)
        cloud = decode_cloud(self._cloud)
        frame_id = self._cloud.header.frame_id
        labelled = self._take(self._topics.labelled_points, stamp_ns)
        class_ids, instance_ids = _labels(labelled, cloud)
        velocities = self._take(self._topics.velocities, stamp_ns)
        difficulties = self._take(self._topics.difficulties, stamp_ns)
        objects = self._take(self._topics.objects, stamp_ns)
        boxes = None if objects is None else decode_objects(objects, velocities)
        odometry = self._take(self._topics.odometry, stamp_ns)
        odom_from_base, twist = (None, None) if odometry is None else decode_odometry(odometry)
        return DriveFrame(
            frame=Frame(cloud, stamp_ns, frame_id),
            base_from_lidar=self._tree.target_from_source(self._base_frame, frame_id, stamp_ns),
            class_ids=class_ids,
            instance_ids=instance_ids,
            objects=boxes,
            difficulty=None if boxes is None or not difficulties else decode_difficulties(difficulties, len(boxes)),
            odom_from_base=odom_from_base,
            twist=twist,
            images=self._images_of(stamp_ns, next_stamp_ns),
            message=self._cloud,
        )

    def _take(self, topic: str, stamp_ns: int) -> Any | None:
        """Remove and return the message with this stamp; older ones belong to no sweep."""
        waiting = self._by_stamp.get(topic, {})
        for stamp in [stamp for stamp in waiting if stamp < stamp_ns]:
            del waiting[stamp]
        return waiting.pop(stamp_ns, None)

    def _images_of(self, stamp_ns: int, next_stamp_ns: int | None) -> tuple[CameraImage, ...]:
        """Take the images nearer to this sweep than to the next one; the nearest of each camera is in the frame."""
        chosen: dict[str, tuple[int, Any]] = {}
        left = []
        for name, image in self._images:
            delay_ns = abs(stamp_ns_of(image) - stamp_ns)
            if next_stamp_ns is not None and abs(next_stamp_ns - stamp_ns_of(image)) < delay_ns:
                left.append((name, image))
            elif delay_ns <= self._max_camera_delay_ns and (name not in chosen or delay_ns < chosen[name][0]):
                chosen[name] = delay_ns, image
        self._images = left
        return tuple(
            self._image(name, chosen[name][1], stamp_ns)
            for name in self._camera_of_image.values()
            if name in chosen and name in self._camera_infos
        )

    def _image(self, name: str, message: Any, stamp_ns: int) -> CameraImage:
        base_from_camera = self._tree.target_from_source(self._base_frame, message.header.frame_id, stamp_ns)
        return decode_image(message, self._camera_infos[name], name, base_from_camera)


def _labels(message: Any | None, cloud: PointCloud) -> tuple[NDArray[np.uint8] | None, NDArray[np.uint32] | None]:
    if message is None:
        return None, None
    records = records_of(message)
    if len(records) != len(cloud):
        raise BagError(f"{len(records)} labelled points for a sweep of {len(cloud)} points")
    return column_of(records, "class_id", np.uint8), column_of(records, "instance", np.uint32)
