"""What goes wrong with a bag leaves nothing half done and is said in one line."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from perception.configuration import ConfigurationError
from perception.data.bags import BagError, drive_summary, read_drive, write_drive
from perception.data.drive import DriveFrame

MakeFrame = Callable[..., DriveFrame]


def test_a_crash_leaves_nothing(tmp_path: Path, full_frame: MakeFrame) -> None:
    def frames() -> Iterator[DriveFrame]:
        yield full_frame(0)
        raise RuntimeError("the power went")

    with pytest.raises(RuntimeError, match="the power went"):
        write_drive(tmp_path / "drive", frames())
    assert list(tmp_path.iterdir()) == []


def test_overwriting_is_asked_for_and_spares_what_is_no_bag(tmp_path: Path, full_frame: MakeFrame) -> None:
    write_drive(tmp_path / "drive", [full_frame(0)])
    with pytest.raises(ConfigurationError, match="exists already"):
        write_drive(tmp_path / "drive", [full_frame(0)])
    with pytest.raises(RuntimeError):
        write_drive(tmp_path / "drive", _broken(full_frame(1)), overwrite=True)
    assert drive_summary(tmp_path / "drive").frames == 1
    write_drive(tmp_path / "drive", [full_frame(0), full_frame(1)], overwrite=True)
    assert drive_summary(tmp_path / "drive").frames == 2
    assert [path.name for path in tmp_path.iterdir()] == ["drive"]
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.tex").write_text("years of work")
    with pytest.raises(ConfigurationError, match="not a bag"):
        write_drive(tmp_path / "home", [full_frame(0)], overwrite=True)
    assert (tmp_path / "home" / "thesis.tex").exists()


def _broken(frame: DriveFrame) -> Iterator[DriveFrame]:
    yield frame
    raise RuntimeError


def test_what_cannot_be_written_is_said(tmp_path: Path, full_frame: MakeFrame) -> None:
    with pytest.raises(ConfigurationError, match="no frames"):
        write_drive(tmp_path / "drive", [])
    with pytest.raises(ConfigurationError, match="compression 'lz4'"):
        write_drive(tmp_path / "drive", [full_frame()], compression="lz4")
    image = dataclasses.replace(full_frame().images[0], name="front left")
    with pytest.raises(ConfigurationError, match="camera name 'front left'"):
        write_drive(tmp_path / "drive", [dataclasses.replace(full_frame(), images=(image,))])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kept", [0, 1, 20, 500, 0.5, 0.99])
def test_a_bag_that_is_cut_short_is_one_line(tmp_path: Path, full_frame: MakeFrame, kept: float) -> None:
    write_drive(tmp_path / "drive", [full_frame(index, point_count=20_000) for index in range(8)])
    (file,) = (tmp_path / "drive").glob("*.mcap")
    data = file.read_bytes()
    file.write_bytes(data[: kept if isinstance(kept, int) else int(len(data) * kept)])
    with pytest.raises(BagError, match=f"{tmp_path / 'drive'}: ") as caught:
        list(read_drive(tmp_path / "drive"))
    assert "\n" not in str(caught.value)


def test_a_bag_with_a_damaged_message_is_one_line(tmp_path: Path, full_frame: MakeFrame) -> None:
    write_drive(tmp_path / "drive", [full_frame(index, point_count=20_000) for index in range(8)], compression="zstd")
    (file,) = (tmp_path / "drive").glob("*.mcap")
    data = bytearray(file.read_bytes())
    compressed = data.index(b"\x28\xb5\x2f\xfd", len(data) // 2)  # a Zstandard frame's first bytes
    data[compressed : compressed + 4000] = bytes(4000)
    file.write_bytes(data)
    with pytest.raises(BagError) as caught:
        list(read_drive(tmp_path / "drive"))
    assert "\n" not in str(caught.value)


def test_what_is_no_bag_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(BagError, match="there is no such bag"):
        list(read_drive(tmp_path / "nothing"))
    with pytest.raises(BagError, match="not a complete ROS 2 bag"):
        drive_summary(tmp_path)
    (tmp_path / "picture.png").write_bytes(b"\x89PNG")
    with pytest.raises(BagError, match="not a complete ROS 2 bag"):
        drive_summary(tmp_path / "picture.png")


def test_labels_that_do_not_fit_are_one_line(tmp_path: Path, full_frame: MakeFrame) -> None:
    short = dataclasses.replace(full_frame(), class_ids=np.zeros(3, np.uint8))
    with pytest.raises(ValueError, match="3 values of class_id for 50 points"):
        write_drive(tmp_path / "drive", [short])
