"""Fixtures that many tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[1]


def pytest_configure() -> None:
    # Tests of other checkouts on this machine, or a running robot on this network, must not hear ours: a domain of
    # our own (1 to 100 are safe on every platform), and only this host.
    os.environ["ROS_DOMAIN_ID"] = str(1 + os.getpid() % 100)
    os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    os.environ.setdefault("ROS_LOG_DIR", str(TOP / "out" / "test_logs"))


@pytest.fixture(scope="session")
def top() -> Path:
    """The top of the source tree."""
    return TOP


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of golden vectors and real samples, which is not part of the project."""
    folder = TOP.parent / "shared"
    if not folder.is_dir():
        pytest.skip("no ../shared folder (golden vectors and real samples)")
    return folder


@pytest.fixture
def semantic_kitti_scan(shared: Path) -> Path:
    """The real SemanticKITTI scan, 123,389 points."""
    return shared / "data" / "semantickitti_sample" / "000000.bin"
