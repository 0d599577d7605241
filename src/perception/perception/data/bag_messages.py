"""Everything of a drive but its clouds as ROS 2 messages, and back."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from perception.data.bag_clouds import column_of, encode_table, records_of
from perception.data.bag_types import BagError, header, new, stamp_ns_of
from perception.data.drive import CameraImage
from perception.data.poses import quaternion_of, rigid_transform, rotation_of
from perception.types import Boxes3D

#: First element of a covariance whose quantity is unknown, as sensor_msgs/Imu defines it.
UNKNOWN = -1.0


def encode_pose(target_from_source: NDArray[np.float64]) -> Any:
    """Make a geometry_msgs/Pose: where the source frame's origin and axes are in the target frame."""
    x, y, z = (float(value) for value in target_from_source[:3, 3])
    return new(
        "geometry_msgs/Pose",
        position=new("geometry_msgs/Point", x=x, y=y, z=z),
        orientation=_quaternion(quaternion_of(target_from_source[:3, :3])),
    )


def encode_transforms(transforms: dict[tuple[str, str], NDArray[np.float64]], stamp_ns: int) -> Any:
    """Make a tf2_msgs/TFMessage of (parent frame, child frame) -> parent_from_child."""
    return new(
        "tf2_msgs/TFMessage",
        transforms=[
            new(
                "geometry_msgs/TransformStamped",
                header=header(stamp_ns, parent),
                child_frame_id=child,
                transform=new(
                    "geometry_msgs/Transform",
                    translation=_vector(parent_from_child[:3, 3]),
                    rotation=_quaternion(quaternion_of(parent_from_child[:3, :3])),
                ),
            )
            for (parent, child), parent_from_child in transforms.items()
        ],
    )


def decode_transforms(message: Any) -> list[tuple[int, str, str, NDArray[np.float64]]]:
    """Read a TFMessage: (stamp in ns, parent frame, child frame, parent_from_child float64 [4, 4]) each."""
    return [
        (
            stamp_ns_of(stamped),
            stamped.header.frame_id.lstrip("/"),
            stamped.child_frame_id.lstrip("/"),
            _matrix(stamped.transform.translation, stamped.transform.rotation),
        )
        for stamped in message.transforms
    ]


def encode_odometry(
    odom_from_base: NDArray[np.float64] | None, twist: NDArray[np.float64] | None, stamp_ns: int, base_frame: str
) -> Any:
    """Make a nav_msgs/Odometry; what is unknown has -1 as the first element of its covariance."""
    pose = encode_pose(np.eye(4) if odom_from_base is None else odom_from_base)
    speeds = np.zeros(6) if twist is None else np.asarray(twist, np.float64)
    return new(
        "nav_msgs/Odometry",
        header=header(stamp_ns, "odom"),
        child_frame_id=base_frame,
        pose=new("geometry_msgs/PoseWithCovariance", pose=pose, covariance=_covariance(odom_from_base is not None)),
        twist=new(
            "geometry_msgs/TwistWithCovariance",
            twist=new("geometry_msgs/Twist", linear=_vector(speeds[:3]), angular=_vector(speeds[3:])),
            covariance=_covariance(twist is not None),
        ),
    )


def decode_odometry(message: Any) -> tuple[NDArray[np.float64] | None, NDArray[np.float64] | None]:
    """Read an Odometry: (odom_from_base float64 [4, 4], twist float64 [6]), each None where unknown."""
    pose, twist = message.pose.pose, message.twist.twist
    odom_from_base = _matrix(pose.position, pose.orientation)
    speeds = np.array([getattr(part, axis) for part in (twist.linear, twist.angular) for axis in "xyz"])
    return (
        None if message.pose.covariance[0] == UNKNOWN else odom_from_base,
        None if message.twist.covariance[0] == UNKNOWN else speeds,
    )


def encode_objects(boxes: Boxes3D, stamp_ns: int, frame_id: str) -> Any:
    """Make a Detection3DArray: class_id is the class's name, size x is the length."""
    ids = boxes.ids or ("",) * len(boxes)
    detections = []
    for index, (name, box_id) in enumerate(zip(boxes.class_names, ids, strict=True)):
        yaw = float(boxes.yaws[index])
        pose = new(
            "geometry_msgs/Pose",
            position=_vector(boxes.centers[index], "Point"),
            orientation=_quaternion((0.0, 0.0, np.sin(yaw / 2), np.cos(yaw / 2))),
        )
        hypothesis = new("vision_msgs/ObjectHypothesis", class_id=name, score=float(boxes.scores[index]))
        with_covariance = new("geometry_msgs/PoseWithCovariance", pose=pose, covariance=np.zeros(36))
        result = new("vision_msgs/ObjectHypothesisWithPose", hypothesis=hypothesis, pose=with_covariance)
        box = new("vision_msgs/BoundingBox3D", center=pose, size=_vector(boxes.sizes[index]))
        stamped = header(stamp_ns, frame_id)
        detections.append(new("vision_msgs/Detection3D", header=stamped, results=[result], bbox=box, id=box_id))
    return new("vision_msgs/Detection3DArray", header=header(stamp_ns, frame_id), detections=detections)


def encode_velocities(boxes: Boxes3D, stamp_ns: int, frame_id: str) -> Any:
    """Make a PointCloud2 with a row x y z vx vy a box, in the boxes' order; NaN where a velocity is unknown."""
    table = np.concatenate([boxes.centers, boxes.velocities], axis=1).reshape(-1, 5)
    return encode_table(dict(zip(("x", "y", "z", "vx", "vy"), table.T, strict=True)), stamp_ns, frame_id)


def encode_difficulties(boxes: Boxes3D, difficulty: NDArray[np.uint8], stamp_ns: int, frame_id: str) -> Any:
    """Make a PointCloud2 with a row x y z difficulty a box, in the boxes' order."""
    columns = dict(zip("xyz", boxes.centers.T, strict=True))
    return encode_table({**columns, "difficulty": np.asarray(difficulty, np.uint8)}, stamp_ns, frame_id)


def decode_difficulties(message: Any, count: int) -> NDArray[np.uint8]:
    """Read the message of `encode_difficulties` for so many objects.

    Raises:
        BagError: there is not one difficulty a box.
    """
    difficulty = column_of(records_of(message), "difficulty", np.uint8)
    if difficulty is None or len(difficulty) != count:
        raise BagError(f"{0 if difficulty is None else len(difficulty)} difficulties for {count} objects")
    return difficulty


def decode_objects(message: Any, velocities: Any | None) -> Boxes3D:
    """Read a Detection3DArray; `velocities` is the message of `encode_velocities` with the same stamp, if there is one.

    Raises:
        BagError: a detection has no hypothesis, or there is not one velocity a box.
    """
    detections = message.detections
    if any(not detection.results for detection in detections):
        raise BagError("a Detection3D has no result, so its class is unknown")
    boxes = [detection.bbox for detection in detections]
    best = [max(detection.results, key=lambda result: result.hypothesis.score).hypothesis for detection in detections]
    ids = tuple(detection.id for detection in detections)
    return Boxes3D(
        centers=_rows([_values(box.center.position) for box in boxes]),
        sizes=_rows([_values(box.size) for box in boxes]),
        yaws=np.array([_yaw(box.center.orientation) for box in boxes], np.float32),
        class_names=tuple(hypothesis.class_id for hypothesis in best),
        scores=np.array([hypothesis.score for hypothesis in best], np.float32),
        velocities=_velocities(velocities, len(detections)),
        ids=ids if any(ids) else (),
    )


def encode_image(image: CameraImage) -> Any:
    """Make a sensor_msgs/CompressedImage."""
    data = np.frombuffer(image.encoded, np.uint8)
    return new("sensor_msgs/CompressedImage", header=header(image.stamp_ns, image.name), format=image.format, data=data)


def encode_camera_info(image: CameraImage) -> Any:
    """Make the sensor_msgs/CameraInfo of a rectified image: no distortion, projection = intrinsics."""
    projection = np.zeros((3, 4))
    projection[:, :3] = image.intrinsics
    region = new("sensor_msgs/RegionOfInterest", x_offset=0, y_offset=0, height=0, width=0, do_rectify=False)
    return new(
        "sensor_msgs/CameraInfo",
        header=header(image.stamp_ns, image.name),
        height=image.height,
        width=image.width,
        distortion_model="plumb_bob",
        d=np.zeros(5),
        k=np.asarray(image.intrinsics, np.float64).reshape(9),
        r=np.eye(3).reshape(9),
        p=projection.reshape(12),
        binning_x=0,
        binning_y=0,
        roi=region,
    )


def decode_image(image: Any, info: Any, name: str, base_from_camera: NDArray[np.float64]) -> CameraImage:
    """Read a CompressedImage with the CameraInfo of the same camera."""
    return CameraImage(
        name=name,
        stamp_ns=stamp_ns_of(image),
        encoded=image.data.tobytes(),
        format=_codec(image.format),
        width=int(info.width),
        height=int(info.height),
        intrinsics=np.asarray(info.k, np.float64).reshape(3, 3).copy(),
        base_from_camera=base_from_camera,
    )


def _codec(compressed_format: str) -> str:
    # compressed_image_transport writes "bgr8; jpeg compressed bgr8" where others write "jpeg".
    return next(
        (codec for codec in ("png", "jpeg") if codec in compressed_format.replace("jpg", "jpeg")), compressed_format
    )


def _covariance(known: bool) -> NDArray[np.float64]:
    covariance = np.zeros(36)
    covariance[0] = 0.0 if known else UNKNOWN
    return covariance


def _vector(values: Any, kind: str = "Vector3") -> Any:
    x, y, z = (float(value) for value in values)
    return new(f"geometry_msgs/{kind}", x=x, y=y, z=z)


def _quaternion(values: Any) -> Any:
    x, y, z, w = (float(value) for value in values)
    return new("geometry_msgs/Quaternion", x=x, y=y, z=z, w=w)


def _values(vector: Any) -> tuple[float, float, float]:
    return vector.x, vector.y, vector.z


def _matrix(translation: Any, rotation: Any) -> NDArray[np.float64]:
    quaternion = (rotation.x, rotation.y, rotation.z, rotation.w)
    return rigid_transform(rotation_of(quaternion), _values(translation))


def _yaw(rotation: Any) -> float:
    x, y, z, w = rotation.x, rotation.y, rotation.z, rotation.w
    return float(np.arctan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z)))


def _rows(values: list[tuple[float, float, float]]) -> NDArray[np.float32]:
    return np.array(values, np.float32).reshape(-1, 3)


def _velocities(message: Any | None, count: int) -> NDArray[np.float32]:
    if message is None:
        return np.full((count, 2), np.nan, np.float32)
    records = records_of(message)
    if len(records) != count:
        raise BagError(f"{len(records)} velocities for {count} objects")
    return np.stack([records["vx"], records["vy"]], axis=1).astype(np.float32)
