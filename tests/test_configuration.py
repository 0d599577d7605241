"""Wrong configuration is one line that names the file, the key and what was expected."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import pydantic
import pytest

from perception.configuration import ConfigurationError, Settings, load_settings, parse_settings, parse_yaml


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


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("rate_hz: 1\nrate_hz: 2\n", "not valid YAML in line 2 (the key 'rate_hz' twice)"),
        ("input: {pointcloud: /p, pointcloud: /q}", "not valid YAML in line 1 (the key 'pointcloud' twice)"),
        ("[" * 10_000, "nested too deeply"),
        ("rate_hz: 2001-99-99", "not valid YAML (a date or number out of range)"),
        ("rate_hz: " + "9" * 10_000, "not valid YAML (a date or number out of range)"),
        ("!!python/object/apply:os.system [ls]", "not valid YAML in line 1"),
        ("{? [a] : 1}", "not valid YAML in line 1"),
        (ROBOT + '"a\\n\\x1b[31m": 1}', "unknown key 'a\\n\\x1b[31m' (known here: input, moves, rate_hz)"),
        (ROBOT + "1: 2}", "1: Keys should be strings, found 1"),
    ],
)
def test_odd_yaml_is_refused_in_one_line(tmp_path: Path, text: str, expected: str) -> None:
    assert message_of(tmp_path, text) == expected


def test_text_in_another_encoding_is_named(tmp_path: Path) -> None:
    (tmp_path / "robot.yaml").write_bytes("name: Jürgen".encode("latin-1"))
    with pytest.raises(ConfigurationError, match=r"robot.yaml: not UTF-8 text"):
        load_settings(Robot, tmp_path / "robot.yaml")


@pytest.mark.parametrize("value", ["a" * 100_000, list(range(100_000)), 16**9999, [[[[[[[[[1]]]]]]]]]], ids=type)
def test_large_values_are_shortened(value: object) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_settings(Robot, {"input": {"pointcloud": "/p"}, "rate_hz": value}, "robot.yaml")
    assert str(caught.value).startswith("robot.yaml: rate_hz: ")
    assert len(str(caught.value)) < 250


def test_aliases_are_for_own_files_only(tmp_path: Path) -> None:
    """Nine lines of aliases stand for a thousand million values."""
    text = b"a: &a [x, x]\nb: *a\n"
    assert parse_yaml(text, "own.yaml") == {"a": ["x", "x"], "b": ["x", "x"]}
    with pytest.raises(ConfigurationError, match=r"theirs.yaml: not valid YAML in line 2 \(an alias; write the value"):
        parse_yaml(text, "theirs.yaml", aliases=False)
