"""Fixtures that many tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from perception.bringup.demo.isolation import isolated_environment

TOP = Path(__file__).resolve().parents[1]


def pytest_addoption(parser: pytest.Parser) -> None:
    choices = ["cpu", "emulated", "cuda"]
    parser.addoption("--device", choices=choices, default="cpu", help="where the tests of the kernels run")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    device = config.getoption("--device")
    for item in items:
        on_device = "device" in getattr(item, "fixturenames", ())
        if device != "cpu" and not on_device:
            item.add_marker(pytest.mark.skip(reason=f"does not use the device, and --device is {device}"))
        if device == "emulated" and item.get_closest_marker("large"):
            item.add_marker(pytest.mark.skip(reason="takes too long on the emulated GPU"))
        if device != "cuda" and item.get_closest_marker("gpu"):
            item.add_marker(pytest.mark.skip(reason="needs an NVIDIA GPU: make gpu-check"))


def pytest_configure() -> None:
    # Outputs of kernels start as rubbish, so that a cell that is never written shows.
    os.environ.setdefault("PERCEPTION_KERNELS_POISON", "1")
    # Tests of other checkouts on this machine, or a robot on this network, must not hear ours.
    os.environ.update(isolated_environment())
    # As perception/__init__.py does; test modules may import torch, and with it OpenMP, before perception.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
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
