"""What networks find, as ROS 2 messages without ROS 2: on the topics, and of the types, that the nodes publish."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perception.data.bag_clouds import encode_table
from perception.data.bag_messages import encode_objects
from perception.data.bag_types import DETECTIONS, MARKERS, POINT_CLOUD, header, new
from perception.types import Boxes3D, DetectedObjects, LabelledCloud

Color = tuple[int, int, int]

#: Of points and boxes without a class that has a colour.
NO_COLOR: Color = (140, 140, 140)
BOX_ALPHA = 0.45
CUBE, DELETE_ALL = 1, 3

#: topic below the network's name, message type, message
Encoded = tuple[str, str, Any]


def encode_result(
    result: LabelledCloud | DetectedObjects,
    coordinates: NDArray[np.float32],
    stamp_ns: int,
    frame_id: str,
    colors: Mapping[str, Color],
) -> list[Encoded]:
    """Make the messages of one result, with the cloud's stamp and frame.

    Args:
        result: class ids in the order of `colors`, or boxes in the cloud's frame.
        coordinates: float32 [N, 3+], the cloud.
        stamp_ns: the cloud's.
        frame_id: the cloud's.
        colors: RGB 0..255 by class name, in the network's order.
    """
    if isinstance(result, LabelledCloud):
        cloud = encode_labels(result, coordinates, stamp_ns, frame_id, list(colors.values()))
        return [("output/pointcloud/segmentation", POINT_CLOUD, cloud)]
    return [
        ("output/objects", DETECTIONS, encode_objects(result.boxes, stamp_ns, frame_id)),
        ("output/markers", MARKERS, encode_markers(result.boxes, stamp_ns, frame_id, colors)),
    ]


def encode_labels(
    labels: LabelledCloud, coordinates: NDArray[np.float32], stamp_ns: int, frame_id: str, colors: list[Color]
) -> Any:
    """Make a PointCloud2 of x, y, z, class_id, probability, and rgb as RViz and Foxglove read it."""
    palette = np.array([*colors, *[NO_COLOR] * (256 - len(colors))], np.uint32)
    packed = palette @ np.array([1 << 16, 1 << 8, 1], np.uint32)
    columns = dict(zip("xyz", coordinates.T[:3], strict=True))
    rgb = packed[labels.class_ids].astype(np.uint32).view(np.float32)
    return encode_table(
        {**columns, "probability": labels.probabilities, "class_id": labels.class_ids, "rgb": rgb}, stamp_ns, frame_id
    )


def encode_markers(boxes: Boxes3D, stamp_ns: int, frame_id: str, colors: Mapping[str, Color]) -> Any:
    """Make a MarkerArray: a cube an object, after a marker that deletes those of the frame before."""
    objects = encode_objects(boxes, stamp_ns, frame_id).detections
    markers = [_marker(stamp_ns, frame_id, action=DELETE_ALL)]
    for number, detection in enumerate(objects):
        red, green, blue = (value / 255 for value in colors.get(boxes.class_names[number], NO_COLOR))
        color = new("std_msgs/ColorRGBA", r=red, g=green, b=blue, a=BOX_ALPHA)
        center, size = detection.bbox.center, detection.bbox.size
        markers.append(_marker(stamp_ns, frame_id, id=number, pose=center, scale=size, color=color))
    return new("visualization_msgs/MarkerArray", markers=markers)


def _marker(stamp_ns: int, frame_id: str, **changes: Any) -> Any:
    zero = new("geometry_msgs/Vector3", x=0.0, y=0.0, z=0.0)
    turn = new("geometry_msgs/Quaternion", x=0.0, y=0.0, z=0.0, w=1.0)
    fields = {
        "header": header(stamp_ns, frame_id),
        "ns": "boxes",
        "id": 0,
        "type": CUBE,
        "action": 0,
        "pose": new("geometry_msgs/Pose", position=new("geometry_msgs/Point", x=0.0, y=0.0, z=0.0), orientation=turn),
        "scale": zero,
        "color": new("std_msgs/ColorRGBA", r=0.0, g=0.0, b=0.0, a=0.0),
        "lifetime": new("builtin_interfaces/Duration", sec=0, nanosec=0),
        "frame_locked": False,
        "points": [],
        "colors": [],
        "texture_resource": "",
        "texture": new("sensor_msgs/CompressedImage", header=header(0, ""), format="", data=np.empty(0, np.uint8)),
        "uv_coordinates": [],
        "text": "",
        "mesh_resource": "",
        "mesh_file": new("visualization_msgs/MeshFile", filename="", data=np.empty(0, np.uint8)),
        "mesh_use_embedded_materials": False,
    }
    return new("visualization_msgs/Marker", **{**fields, **changes})
