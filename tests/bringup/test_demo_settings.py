"""The command line of `perception demo`."""

import argparse
import subprocess
import sys

import pytest

from perception.bringup.demo.settings import DemoSettings, add_arguments
from perception.configuration import ConfigurationError


def parse(*words):
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return DemoSettings.from_arguments(parser.parse_args(words))


def test_without_arguments_it_is_the_demo_of_the_readme():
    settings = parse()
    assert (settings.seeds, settings.sensor, settings.rate_hz) == ((1, 2), "hdl64e", 10.0)
    assert str(settings.out) == "out/demo"
    assert (settings.bundle, settings.detector) == ("spvcnn_street", "flatformer_street")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--seeds", "1", "1000"], "seeds 1000: training may have seen"),
        (["--seeds", "2", "2"], "twice"),
        (["--labels", "a.label"], "--scan, which is missing"),
    ],
)
def test_contradictions_are_refused_in_one_line(words, message):
    with pytest.raises(ConfigurationError, match=message) as error:
        parse(*words)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("words", [["--duration-s", "0"], ["--rate", "-1"], ["--seeds"], ["--rate", "nan"]])
def test_impossible_numbers_are_refused(words, capsys):
    with pytest.raises(SystemExit):
        parse(*words)
    assert words[0] in capsys.readouterr().err


def test_help_needs_neither_ros_nor_torch():
    code = "import sys, perception.bringup.demo; sys.exit('rclpy' in sys.modules or 'torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
