"""Viewers that write files, and what they are shown."""

import numpy as np
import pytest

from perception.data.bag_clouds import encode_cloud
from perception.evaluation.view.messages import Messages
from perception.evaluation.view.outputs import new_recording, save
from perception.evaluation.view.viewer import Viewer
from perception.types import Boxes3D, PointCloud

START_NS = 1_700_000_000_123_456_789
STEP_NS = 100_000_000


@pytest.fixture
def shown(tmp_path):
    """Shows what a function tells a viewer; the file it wrote."""

    def show(tell, **options):
        recording = new_recording("test")
        path = tmp_path / "shown.rrd"
        save(recording, path)
        viewer = Viewer(recording, **options)
        tell(viewer)
        viewer.close()
        recording.disconnect()
        return path

    return show


@pytest.fixture
def shown_messages(shown):
    """Shows (topic, message) pairs; the file it wrote."""

    def show(*messages, color_by="height", **options):
        def tell(viewer):
            shows = Messages(viewer, color_by)
            for topic, message in messages:
                shows.show(topic, message.__msgtype__, lambda message=message: message)

        return shown(tell, **options)

    return show


def cloud(class_ids=None, points=None):
    """Four points, one higher than the other."""
    if points is None:
        points = np.zeros((4, 4), np.float32)
        points[:, 0], points[:, 2] = np.arange(4), [-2, 0, 1, 2]
    return encode_cloud(PointCloud(points), START_NS, "lidar", class_ids)


def boxes(count, speed=np.nan):
    """Cars that drive along x, turned a quarter to the left."""
    return Boxes3D(
        np.arange(3 * count, dtype=np.float32).reshape(count, 3),
        np.tile(np.array([4, 2, 1.5], np.float32), (count, 1)),
        np.full(count, np.pi / 2, np.float32),
        ("car",) * count,
        np.full(count, 0.75, np.float32),
        np.full((count, 2), [speed, 0], np.float32),
    )
