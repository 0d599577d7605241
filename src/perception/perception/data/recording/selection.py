"""Which topics of a bag hold the clouds and their truth."""

from __future__ import annotations

from perception.data.bag_types import DETECTIONS, POINT_CLOUD, BagError, Topics
from perception.data.recording.recording import Recording

#: Below this, simulators and converters put what is true.
TRUTH_PREFIX = "/ground_truth/"
DEFAULT_TOPICS = Topics()


def choose_points_topic(recording: Recording, asked: str | None, topics: Topics) -> str:
    """Choose where the clouds are: what was asked for, the only clouds that are no truth, or the usual topic.

    Raises:
        BagError: none of these is there; the message lists the topics that hold clouds.
    """
    clouds = recording.topics_of(POINT_CLOUD)
    listed = ", ".join(clouds) or "none"
    if asked is not None:
        if asked not in clouds:
            raise BagError(f"{recording.path}: no clouds on {asked}; topics with sensor_msgs/PointCloud2: {listed}")
        return asked
    sensed = [topic for topic in clouds if topic not in topics.truth and not topic.startswith(TRUTH_PREFIX)]
    if len(sensed) == 1:
        return sensed[0]
    if topics.points in sensed:
        return topics.points
    raise BagError(f"{recording.path}: name the topic of the clouds; topics with sensor_msgs/PointCloud2: {listed}")


def check_truth_topics(recording: Recording, topics: Topics) -> None:
    """Check that the truth is where it was said to be; where nothing was said, there may be none.

    Raises:
        BagError: it is not.
    """
    for asked, usual, message_type in (
        (topics.objects, DEFAULT_TOPICS.objects, DETECTIONS),
        (topics.labelled_points, DEFAULT_TOPICS.labelled_points, POINT_CLOUD),
    ):
        found = recording.topics_of(message_type)
        if asked not in found and (asked != usual or asked in recording.channels):
            kind = message_type.replace("/msg/", "/")
            raise BagError(f"{recording.path}: no truth on {asked}; topics with {kind}: {', '.join(found) or 'none'}")
