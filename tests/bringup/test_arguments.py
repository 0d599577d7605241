from __future__ import annotations

import pytest

from perception.bringup.arguments import ARGUMENTS, arguments_text, parse_arguments
from perception.configuration import ConfigurationError


def test_what_is_not_given_has_its_default() -> None:
    values = parse_arguments(["input/pointcloud:=/lidar/points", "composed:=false"])
    assert set(values) == {argument.name for argument in ARGUMENTS}
    assert values["input/pointcloud"] == "/lidar/points"
    assert values["composed"] == "false"
    assert values["build_only"] == "false"


def test_a_value_may_hold_the_separator() -> None:
    assert parse_arguments(["bag:=/tmp/a:=b"])["bag"] == "/tmp/a:=b"


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("bag=/tmp/x", "expected name:=value"),
        ("speed:=3", "unknown argument 'speed' (known: config, models"),
        ("composed:=maybe", "composed:=maybe: expected true or false"),
    ],
)
def test_a_wrong_word_is_named(word: str, expected: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        parse_arguments([word])
    assert expected in str(error.value)
    assert "\n" not in str(error.value)


def test_every_argument_is_shown() -> None:
    for argument in ARGUMENTS:
        assert f"'{argument.name}':\n        {argument.description}" in arguments_text()
