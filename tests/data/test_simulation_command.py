"""`perception simulate` from the outside."""

from __future__ import annotations

import pytest

from perception.cli import main
from perception.data.bags import read_drive


def simulate(bag, *options: str) -> int:
    return main(["simulate", "--out", str(bag), "--sensor", "nuscenes32", *options])


def test_a_bag_holds_the_drive_and_the_summary_says_what(tmp_path, capsys) -> None:
    bag = tmp_path / "drive"
    assert simulate(bag, "--seed", "4", "--duration-s", "0.15") == 0
    printed = capsys.readouterr().out
    frames = list(read_drive(bag))
    assert len(frames) == 3  # 0.15 s at the sensor's 20 Hz
    points = sum(len(frame.frame.cloud) for frame in frames)
    assert f"{bag}: 3 frames, {points:,} points" in printed
    assert "road" in printed
    assert "objects:" in printed
    assert all(frame.class_ids is not None and frame.objects is not None for frame in frames)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--duration-s", "0"), "--duration-s: expected more than 0"),
        (("--duration-s", "nan"), "--duration-s: expected more than 0"),
        (("--rate-hz", "-1"), "--rate-hz: expected more than 0"),
        (("--seed", "-1"), "--seed: expected 0 or more"),
        (("--sensor", "hdl65"), "no sensor 'hdl65'"),
    ],
)
def test_wrong_options_are_one_line(tmp_path, capsys, options: tuple[str, ...], message: str) -> None:
    assert simulate(tmp_path / "drive", *options) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "drive").exists()


def test_a_bag_that_exists_is_kept(tmp_path, capsys) -> None:
    bag = tmp_path / "drive"
    bag.mkdir()
    (bag / "precious").touch()
    assert simulate(bag, "--duration-s", "0.05") == 2
    assert (bag / "precious").exists()
    assert str(bag) in capsys.readouterr().err
