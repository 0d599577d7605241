"""The demo's bags: reused when nothing has changed, and the real scan as a bag."""

from itertools import pairwise

import numpy as np
import pytest

from perception.bringup.demo import drives
from perception.bringup.demo.drives import SCAN_COPIES, drive_bag, scan_bag, simulate
from perception.bringup.graph.children import GraphError
from perception.classes import SEMANTIC_KITTI_CLASSES
from perception.configuration import ConfigurationError
from perception.data import bags

POINTS = np.arange(12, dtype=np.float32).reshape(3, 4)


@pytest.fixture
def scan(tmp_path):
    POINTS.tofile(tmp_path / "000007.bin")
    # A car, a road and an unlabelled point, as SemanticKITTI numbers them.
    np.array([10, 40, 0], np.uint32).tofile(tmp_path / "000007.label")
    return tmp_path / "000007.bin"


def test_whatever_shapes_a_drive_is_in_its_name(tmp_path, monkeypatch):
    names = {drive_bag(tmp_path, "hdl64e", 1, 10.0)}
    names |= {drive_bag(tmp_path, "nuscenes32", 1, 10.0), drive_bag(tmp_path, "hdl64e", 2, 10.0)}
    names |= {drive_bag(tmp_path, "hdl64e", 1, 5.0)}
    monkeypatch.setattr(drives, "_fingerprint", lambda sensor: "another")
    names |= {drive_bag(tmp_path, "hdl64e", 1, 10.0)}
    assert len(names) == 5


def test_the_same_settings_give_the_same_name(tmp_path):
    assert drive_bag(tmp_path, "hdl64e", 1, 10.0) == drive_bag(tmp_path, "hdl64e", 1, 10.0)


def test_a_new_drive_replaces_the_outdated_one_and_no_other(tmp_path):
    outdated = tmp_path / "hdl64e_seed1_10s_00000000"
    left_over = tmp_path / ".hdl64e_seed1_10s_00000000.killed"
    others = [tmp_path / "hdl64e_seed11_10s_00000000", tmp_path / "hdl64e_seed1_5s_00000000"]
    for folder in (outdated, left_over, *others):
        folder.mkdir()
    # Fails, since there is no such sensor; what is outdated is of no use all the same.
    with pytest.raises(GraphError, match=r"ended with code 2\n.*no_such_sensor"):
        simulate({1: tmp_path / "hdl64e_seed1_10s_ffffffff"}, "no_such_sensor", 10.0, tmp_path)
    assert not outdated.exists()
    assert not left_over.exists()
    assert all(other.exists() for other in others)


def test_a_real_scan_becomes_a_bag_that_holds_it_several_times(scan, tmp_path):
    frames = list(bags.read_drive(scan_bag(tmp_path, scan, scan.with_suffix(".label"))))
    stamps_ns = [frame.frame.stamp_ns for frame in frames]
    assert [later - earlier for earlier, later in pairwise(stamps_ns)] == [1_000_000_000] * (SCAN_COPIES - 1)
    for frame in frames:
        np.testing.assert_array_equal(frame.frame.cloud.points, POINTS)
        assert [SEMANTIC_KITTI_CLASSES[index] for index in frame.class_ids[:2]] == ["car", "road"]
        assert frame.class_ids[2] == 255


def test_a_scan_without_labels_has_no_truth(scan, tmp_path):
    frames = list(bags.read_drive(scan_bag(tmp_path, scan, None)))
    assert [frame.class_ids for frame in frames] == [None] * SCAN_COPIES


def test_a_scan_that_cannot_be_used_is_refused_in_one_line(scan, tmp_path):
    (tmp_path / "short.label").write_bytes(b"\0" * 8)
    (tmp_path / "empty.bin").write_bytes(b"")
    for points, labels, message in [
        (scan, tmp_path / "short.label", "2 labels for a sweep of 3 points"),
        (tmp_path / "missing.bin", None, "cannot be read"),
        (tmp_path / "empty.bin", None, "holds no points"),
    ]:
        with pytest.raises(ConfigurationError, match=message):
            scan_bag(tmp_path, points, labels)
