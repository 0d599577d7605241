"""Wrong configuration is one line that names the file, the key and what was expected."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import pydantic
import pytest

from perception.configuration import ConfigurationError, Settings, load_settings


class Input(Settings):
    pointcloud: str


class Wheel(Settings):
    radius_m: float


class Wheels(Settings):
    drive: Literal["wheels"]
    wheels: tuple[Wheel, ...]


class Tracks(Settings):
    drive: Literal["tracks"]
    length_m: float


class Robot(Settings):
    input: Input
    rate_hz: float = pydantic.Field(gt=0)
    moves: Annotated[Wheels | Tracks, pydantic.Field(discriminator="drive")] = Tracks(drive="tracks", length_m=1.0)


#: The beginning of right settings.
ROBOT = "{input: {pointcloud: /p}, rate_hz: 1, "


def message_of(tmp_path: Path, text: str) -> str:
    file = tmp_path / "robot.yaml"
    file.write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        load_settings(Robot, file)
    message = str(caught.value)
    assert message.startswith(f"{file}: ")
    assert "\n" not in message
    return message.removeprefix(f"{file}: ")


def test_right_settings_load(tmp_path: Path) -> None:
    (tmp_path / "robot.yaml").write_text("{input: {pointcloud: /points}, rate_hz: 10}")
    assert load_settings(Robot, tmp_path / "robot.yaml") == Robot(input=Input(pointcloud="/points"), rate_hz=10.0)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{input: {pointcloud: /p}, rate_hz: 10, rate: 3}", "unknown key 'rate' (known here: input, moves, rate_hz)"),
        ("{input: {pointcloud: /p, image: /i}, rate_hz: 10}", "unknown key 'input.image' (known here: pointcloud)"),
        ("{input: {pointcloud: /p}}", "rate_hz: Field required"),
        ("{input: {pointcloud: /p}, rate_hz: -1}", "rate_hz: Input should be greater than 0, found -1"),
        ("{input: {pointcloud: 3}, rate_hz: 1}", "input.pointcloud: Input should be a valid string, found 3"),
        (ROBOT + "moves: {drive: legs}}", "moves.drive: unknown 'legs' (known: wheels, tracks)"),
        (ROBOT + "moves: {length_m: 1}}", "moves.drive: Field required"),
        (ROBOT + "moves: {drive: tracks}}", "moves.length_m: Field required"),
        (
            ROBOT + "moves: {drive: tracks, length_m: 1, width_m: 1}}",
            "unknown key 'moves.width_m' (known here: drive, length_m)",
        ),
        (
            ROBOT + "moves: {drive: wheels, wheels: [{radius_m: 1, width_m: 1}]}}",
            "unknown key 'moves.wheels.0.width_m' (known here: radius_m)",
        ),
        ("[1, 2]", "expected a mapping of keys to values, found list"),
        ("input: {", "not valid YAML in line 1"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, expected: str) -> None:
    assert message_of(tmp_path, text) == expected


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"robot\.yaml: cannot be read \(No such file or directory\)"):
        load_settings(Robot, tmp_path / "robot.yaml")
