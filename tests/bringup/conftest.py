"""A bag for those who evaluate one in the running graph."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def short_bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A simulated drive of 0.3 s with its truth: 6 clouds of 28,000 points."""
    bag = tmp_path_factory.mktemp("drives") / "drive"
    words = ("--out", bag, "--sensor", "nuscenes32", "--seed", "5", "--duration-s", "0.3")
    command = [sys.executable, "-m", "perception.cli", "simulate", *map(str, words)]
    subprocess.run(command, check=True, timeout=120, capture_output=True)
    return bag
