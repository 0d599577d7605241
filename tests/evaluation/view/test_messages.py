"""What a viewer is sent of ROS messages."""

import io
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from perception.classes import IGNORED
from perception.data.bag_messages import (
    encode_camera_info,
    encode_image,
    encode_objects,
    encode_transforms,
    encode_velocities,
)
from perception.data.bag_results import encode_result
from perception.data.bag_types import header, new
from perception.data.drive import CameraImage
from perception.evaluation.view.messages import wanted
from perception.types import LabelledCloud
from tests.evaluation.view.conftest import START_NS, STEP_NS, boxes, cloud
from tests.evaluation.view.rrd import entities, red_green_blue, rows

IDS = np.array([8, 0, 14, IGNORED], np.uint8)
TRUE_POINTS, LABELLED = "/ground_truth/points", "/perception/net/output/pointcloud/segmentation"


def classes_of(path, entity):
    (*_, (_, (context,))) = rows(path, entity, "AnnotationContext:context")
    return {entry["class_id"]: entry["class_description"]["info"] for entry in context}


def test_labelled_points_have_their_classes_at_their_exact_stamp(shown_messages):
    path = shown_messages((TRUE_POINTS, cloud(IDS)))
    assert rows(path, TRUE_POINTS, "Points3D:class_ids") == [(START_NS, [8, 0, 14, 255])]
    assert rows(path, TRUE_POINTS, "Points3D:positions")[0][1][3] == [3.0, 0.0, 2.0]
    assert rows(path, TRUE_POINTS, "CoordinateFrame:frame") == [(None, ["lidar"])]


def test_truth_has_the_data_set_s_names_and_colours(shown_messages):
    classes = classes_of(shown_messages((TRUE_POINTS, cloud(IDS))), TRUE_POINTS)
    assert classes[0]["label"] == "car"
    assert red_green_blue(classes[0]["color"]) == (100, 150, 245)
    assert classes[255]["label"] == "unlabelled"


def test_results_have_the_names_that_their_node_announces(shown_messages):
    entries = [SimpleNamespace(class_id=0, class_name="road"), SimpleNamespace(class_id=2, class_name="x")]
    info = SimpleNamespace(class_map=entries, __msgtype__="vision_msgs/msg/LabelInfo")
    path = shown_messages(("/perception/net/label_info", info), (LABELLED, cloud(IDS)))
    assert [classes_of(path, LABELLED)[index]["label"] for index in (0, 1, 2)] == ["road", "1", "x"]


def test_results_without_names_keep_the_colours_of_their_bag(shown_messages):
    labels = LabelledCloud(IDS[:2], np.ones(2, np.float32))
    points = np.ones((2, 4), np.float32)
    palette = {f"class {index}": (index, 200 - index, 7) for index in range(9)}
    ((topic, _, message),) = encode_result(labels, points, START_NS, "lidar", palette)
    path = shown_messages((f"/net/{topic}", message))
    colors = map(red_green_blue, rows(path, f"/net/{topic}", "Points3D:colors")[0][1])
    assert list(colors) == [(8, 192, 7), (0, 200, 7)]


def test_unlabelled_points_are_coloured_from_low_to_high(shown_messages):
    path = shown_messages(("/points", cloud()))
    low, *_, high = map(red_green_blue, rows(path, "/points", "Points3D:colors")[0][1])
    assert low[0] < 80
    assert high[0] > 100 > high[2]


def test_clouds_are_thinned_evenly_and_lose_points_that_are_nowhere(shown_messages):
    path = shown_messages((TRUE_POINTS, cloud(IDS)), max_points=2)
    assert rows(path, TRUE_POINTS, "Points3D:class_ids")[0][1] == [8, 14]
    points = np.array([[np.nan, 0, 0, 0], [1, 2, 3, 0]], np.float32)
    path = shown_messages((TRUE_POINTS, cloud(IDS[:2], points)))
    assert rows(path, TRUE_POINTS, "Points3D:class_ids")[0][1] == [0]


@pytest.mark.parametrize("ids", [None, IDS[:0]])
def test_an_empty_cloud_shows_nothing(shown_messages, ids):
    path = shown_messages(("/points", cloud(ids, np.empty((0, 4), np.float32))))
    assert rows(path, "/points", "Points3D:positions") == [(START_NS, [])]


def test_true_boxes_are_white_and_found_ones_have_class_and_score(shown_messages):
    message = encode_objects(boxes(1), START_NS, "lidar")
    topics = ("/ground_truth/objects", "/net/output/objects")
    path = shown_messages(*((topic, message) for topic in topics))
    white, found = (rows(path, topic, "Boxes3D:colors")[0][1][0] for topic in topics)
    assert red_green_blue(white) == (255, 255, 255) != red_green_blue(found)
    assert rows(path, "/net/output/objects", "Boxes3D:labels") == [(START_NS, ["car 0.75"])]
    assert rows(path, "/net/output/objects", "Boxes3D:half_sizes") == [(START_NS, [[2.0, 1.0, 0.75]])]
    np.testing.assert_allclose(
        rows(path, "/net/output/objects", "Boxes3D:quaternions")[0][1], [[0, 0, np.sqrt(0.5), np.sqrt(0.5)]], rtol=1e-6
    )


def test_arrows_go_with_the_boxes_that_had_them(shown):
    def tell(viewer):
        for stamp_ns, count in ((START_NS, 1), (START_NS + STEP_NS, 0)):
            viewer.at(stamp_ns)
            viewer.boxes("boxes", "lidar", boxes(count, speed=2.0))

    assert [len(row) for _, row in rows(shown(tell), "boxes/velocities", "Arrows3D:vectors")] == [1, 0]


def test_boxes_that_score_little_are_not_shown(shown_messages):
    message = encode_objects(boxes(2), START_NS, "lidar")
    path = shown_messages(("/net/output/objects", message), min_score=0.8)
    assert rows(path, "/net/output/objects", "Boxes3D:centers") == [(START_NS, [])]


def test_velocities_are_arrows(shown_messages):
    path = shown_messages(("/ground_truth/velocities", encode_velocities(boxes(2, speed=3.0), START_NS, "lidar")))
    assert rows(path, "/ground_truth/velocities", "Arrows3D:vectors")[0][1] == [[3.0, 0.0, 0.0]] * 2


def test_frames_are_related_as_on_the_robot(shown_messages):
    base_from_lidar = np.eye(4)
    base_from_lidar[2, 3] = 1.7
    message = encode_transforms({("base_link", "lidar"): base_from_lidar}, START_NS)
    path = shown_messages(("/tf_static", message))
    assert rows(path, "tf/lidar", "Transform3D:translation")[0] == (None, [pytest.approx([0, 0, 1.7])])
    assert rows(path, "tf/lidar", "Transform3D:parent_frame")[0][1] == ["base_link"]


def camera_image():
    encoded = io.BytesIO()
    Image.new("RGB", (8, 6), (0, 255, 0)).save(encoded, "jpeg")
    intrinsics = np.array([[5.0, 0, 4], [0, 5, 3], [0, 0, 1]])
    return CameraImage("front", START_NS, encoded.getvalue(), "jpeg", 8, 6, intrinsics, np.eye(4))


def test_a_compressed_image_is_shown_as_it_came_where_its_camera_looks(shown_messages):
    image = camera_image()
    calibration, compressed = encode_camera_info(image), encode_image(image)
    info = ("/camera/front/camera_info", calibration)
    path = shown_messages(info, info, ("/camera/front/image/compressed", compressed))
    ((_, (blob,)),) = rows(path, "/camera/front", "EncodedImage:blob")
    assert bytes(blob) == image.encoded
    assert rows(path, "/camera/front", "Pinhole:resolution") == [(None, [[8.0, 6.0]])]
    assert rows(path, "/camera/front", "Pinhole:parent_frame")[0][1] == ["front"]


def raw_image(encoding, pixels, padding=0):
    data = np.pad(pixels.reshape(len(pixels), -1), ((0, 0), (0, padding)))
    return new(
        "sensor_msgs/Image",
        header=header(START_NS, "front"),
        height=pixels.shape[0],
        width=pixels.shape[1],
        encoding=encoding,
        is_bigendian=0,
        step=data.shape[1],
        data=data.ravel(),
    )


@pytest.mark.parametrize(("encoding", "pixel"), [("bgr8", (10, 20, 200)), ("rgb8", (200, 20, 10))])
def test_a_raw_image_has_its_own_red(shown_messages, encoding, pixel):
    image = raw_image(encoding, np.full((8, 8, 3), pixel, np.uint8), padding=2)
    path = shown_messages(("/camera/front/image_raw", image))
    ((_, (blob,)),) = rows(path, "/camera/front", "EncodedImage:blob")
    np.testing.assert_allclose(np.asarray(Image.open(io.BytesIO(bytes(blob))))[4, 4], (200, 20, 10), atol=4)


def test_what_cannot_be_shown_is_said_once(shown_messages):
    image = raw_image("bayer_rggb8", np.zeros((2, 2), np.uint8))
    path = shown_messages(("/camera/front/image_raw", image), ("/camera/front/image_raw", image))
    ((_, (text,)),) = rows(path, "/camera/front/image_raw", "TextLog:text", timeline="log_time")
    assert text.startswith("images in bayer_rggb8 are not shown")


def status(name, message, level):
    status = SimpleNamespace(name=name, message=message, level=level)
    kind = "diagnostic_msgs/msg/DiagnosticArray"
    return SimpleNamespace(header=header(START_NS, ""), status=[status], __msgtype__=kind)


def test_diagnostics_are_said_when_they_change(shown_messages):
    told = [
        status("a: b", "fine", b"\0"),
        status("a: b", "fine", b"\0"),
        status("c", "late", 2),
        status("a: b", "odd", 1),
    ]
    path = shown_messages(*(("/diagnostics", message) for message in told))
    assert [text for _, (text,) in rows(path, "/diagnostics", "TextLog:text")] == ["a: b: fine", "c: late", "a: b: odd"]
    assert [level for _, (level,) in rows(path, "/diagnostics", "TextLog:level")] == ["INFO", "ERROR", "WARN"]


def test_timings_are_curves(shown_messages):
    kind = "perception_interfaces/msg/FrameTimings"
    timings = SimpleNamespace(header=header(START_NS, ""), total_ms=12.5, inference_ms=10.0, __msgtype__=kind)
    path = shown_messages(("/net/debug/timings", timings))
    assert rows(path, "/net/debug/timings/total", "Scalars:scalars") == [(START_NS, [12.5])]
    assert rows(path, "/net/debug/timings/inference", "Scalars:scalars") == [(START_NS, [10.0])]


def test_topics_are_chosen_by_pattern_and_copies_left_out():
    cloud_type, info = "sensor_msgs/msg/PointCloud2", "vision_msgs/msg/LabelInfo"
    types = {
        "/points": cloud_type,
        LABELLED: cloud_type,
        "/perception/net/output/pointcloud/visualization": cloud_type,
        "/perception/net/label_info": info,
        "/rosout": "rcl_interfaces/msg/Log",
    }
    assert wanted(types, ()) == ["/perception/net/label_info", LABELLED, "/points"]
    assert wanted(types, ["*/visualization"]) == [
        "/perception/net/label_info",
        "/perception/net/output/pointcloud/visualization",
    ]


def test_without_class_ids_there_are_no_classes(shown_messages):
    assert entities(shown_messages(("/points", cloud()))) == {"/points"}
