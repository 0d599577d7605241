"""A bag of what was given to networks, what is true, and what they found, for playback in any tool."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from perception.data.bag_results import Color, encode_result
from perception.data.bag_writer import label_messages, object_messages
from perception.data.drive import DriveFrame
from perception.data.new_bag import NewBag
from perception.data.recorded_drive import RecordedDrive, is_cloud
from perception.data.recording.messages import Channel, RawMessage, store_of
from perception.types import DetectedObjects, LabelledCloud

#: How rosbag2 writes, in its older and newer versions, that a topic was latched.
LATCHED = re.compile(r"durability: *(1\b|transient_local)")


class ResultBag:
    """Copies a bag as far as it is evaluated, and puts the results beside the clouds that they are about.

    Results are on /NETWORK/output/..., with the stamp and the log time of their cloud. Truth from another bag is
    written as it was matched to the clouds. The bag is MCAP with zstd; it appears under its name when it is closed,
    whole also when the evaluation ends early.

    Args:
        path: the folder to make.
        drive: what is evaluated.
        colors: network -> RGB 0..255 by class name, in the network's order of classes.
        overwrite: replace a bag that is there.

    Raises:
        ConfigurationError: `path` exists.
    """

    def __init__(
        self, path: Path, drive: RecordedDrive, colors: Mapping[str, Mapping[str, Color]], overwrite: bool = False
    ) -> None:
        self._drive = drive
        self._colors = colors
        self._has_foreign_truth = drive.truth is not drive.recording
        ours = [f"/{name}/output/" for name in colors]
        if self._has_foreign_truth:
            ours += drive.topics.truth
        topics = [topic for topic in drive.recording.channels if not topic.startswith(tuple(ours))]
        self._inputs = drive.recording.messages(topics)
        self._bag = NewBag(path, "zstd", overwrite)
        #: Topic -> as it was first recorded; None where its messages cannot be copied.
        self._copied: dict[str, Channel | None] = {}
        #: When each frame's cloud was recorded.
        self._log_times_ns: list[int] = []

    def __enter__(self) -> ResultBag:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def add(self, index: int, frame: DriveFrame, network: str, result: LabelledCloud | DetectedObjects | None) -> None:
        """Write what a network found in a frame, after all that was recorded up to its cloud.

        Args:
            index: the frame's, as `drive.frames()` counts; frames may come again with another network.
            frame: the cloud and its truth.
            network: its name.
            result: None where nothing came out.
        """
        if index >= len(self._log_times_ns):
            self._copy_until(index)
            if self._has_foreign_truth:
                self._write_truth(frame, self._log_times_ns[index])
        if result is not None:
            cloud = frame.frame
            messages = encode_result(result, cloud.cloud.points, cloud.stamp_ns, cloud.frame_id, self._colors[network])
            for topic, message_type, message in messages:
                self._bag.write(f"/{network}/{topic}", message_type, self._log_times_ns[index], message)

    def close(self) -> None:
        """Copy what was recorded until the next cloud, and give the bag its name."""
        try:
            for raw in self._inputs:
                if raw.channel.topic == self._drive.points_topic:
                    break
                self._copy(raw)
            self._bag.finish()
        finally:
            self._bag.discard()

    def _copy_until(self, index: int) -> None:
        for raw in self._inputs:
            self._copy(raw)
            if raw.channel.topic == self._drive.points_topic and is_cloud(raw):
                self._log_times_ns.append(raw.log_time_ns)
                if len(self._log_times_ns) > index:
                    return
        raise ValueError(f"{self._drive.name} has no frame {index}")

    def _copy(self, raw: RawMessage) -> None:
        topic = raw.channel.topic
        if topic not in self._copied:
            self._copied[topic] = self._added(raw.channel)
        # A file cannot hold two definitions of one topic: what was recorded with another one later is left out.
        if self._copied[topic] == raw.channel:
            self._bag.write_recorded(topic, raw.log_time_ns, raw.data)

    def _added(self, channel: Channel) -> Channel | None:
        is_latched = channel.topic == "/tf_static" or LATCHED.search(channel.qos) is not None
        try:
            self._bag.add_topic(channel.topic, channel.message_type, store_of(channel), is_latched)
        except Exception:  # a type that nobody knows, or a definition that rosbags cannot read
            return None
        return channel

    def _write_truth(self, frame: DriveFrame, log_time_ns: int) -> None:
        for make in (object_messages, label_messages):
            for time_ns, topic, message_type, message in make(frame, self._drive.topics, log_time_ns):
                self._bag.write(topic, message_type, time_ns, message)
