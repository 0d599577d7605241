"""`perception convert`, as it is typed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from perception.cli import main
from perception.data.bags import read_drive


def test_the_real_semantic_kitti_scan(shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    source = shared / "data" / "semantickitti_sample"
    assert main(["convert", "semantickitti", str(source), "--out", str(tmp_path / "bag")]) == 0
    output = capsys.readouterr()
    assert "1 frames" in output.out
    assert "/ground_truth/points       1" in output.out
    assert "no poses.txt" in output.err
    (frame,) = read_drive(tmp_path / "bag")
    assert frame.frame.cloud.points.tobytes() == (source / "000000.bin").read_bytes()
    assert len(frame.class_ids) == 123389
    assert np.array_equal(np.unique(frame.instance_ids >> 16), [0, 1, 2, 3, 9, 15, 24, 25, 194, 195, 196, 198])


def test_the_real_kitti_frame(kitti_folder: Path, tmp_path: Path) -> None:
    assert main(["convert", "kitti", str(kitti_folder), "--out", str(tmp_path / "bag"), "--compression", "zstd"]) == 0
    (frame,) = read_drive(tmp_path / "bag")
    assert len(frame.objects) == 6
    assert [image.name for image in frame.images] == ["image_2"]


def test_frames_and_overwrite(kitti_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    scan = kitti_folder / "training" / "velodyne" / "000008.bin"
    for number in range(3):
        (scan.parent / f"{number:06}.bin").write_bytes(scan.read_bytes())
        for name, suffix in (("calib", "txt"), ("label_2", "txt"), ("image_2", "png")):
            folder = kitti_folder / "training" / name
            (folder / f"{number:06}.{suffix}").write_bytes((folder / f"000008.{suffix}").read_bytes())
    command = ["convert", "kitti", str(kitti_folder), "--out", str(tmp_path / "bag"), "--frames", "2"]
    assert main(command) == 0
    assert len(list(read_drive(tmp_path / "bag"))) == 2
    assert main(command) == 2
    assert "exists already" in capsys.readouterr().err
    assert main([*command, "--overwrite"]) == 0
    assert main([*command[:-1], "0"]) == 2


def test_a_mistake_is_one_line_and_leaves_no_bag(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    (tmp_path / "000000.bin").write_bytes(bytes(32))
    (tmp_path / "000001.bin").write_bytes(bytes(33))
    assert main(["convert", "semantickitti", str(tmp_path), "--out", str(tmp_path / "bag")]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith(f"perception convert: {tmp_path / '000001.bin'}: 33 bytes")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["000000.bin", "000001.bin"]
