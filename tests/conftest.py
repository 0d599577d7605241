"""Fixtures that many tests share."""

from __future__ import annotations

import importlib.util
import os
import signal
from pathlib import Path

import pytest

from perception.ops import binding
from tests.ops.devices import KINDS, Device

TOP = Path(__file__).resolve().parents[1]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--device", choices=KINDS, default="cpu", help="where the tests of the kernels run")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    device = config.getoption("--device")
    config.hook.pytest_deselected(items=[item for item in items if not _belongs_on(device, item)])
    items[:] = [item for item in items if _belongs_on(device, item)]
    for item in items:
        if device != "cuda" and item.get_closest_marker("gpu"):
            item.add_marker(pytest.mark.skip(reason="needs an NVIDIA GPU: make gpu-check"))


def _belongs_on(device: str, item: pytest.Item) -> bool:
    """Whether a test says anything about a device: one that never can is left out, not skipped."""
    if device != "cpu" and "device" not in getattr(item, "fixturenames", ()):
        return False
    if item.get_closest_marker("emulation"):
        return device == "emulated"
    return device != "emulated" or not item.get_closest_marker("large")


def pytest_configure() -> None:
    # A shell lets what it starts in the background ignore Ctrl-C, and children inherit that: some tests send them one.
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    # Outputs of kernels start as rubbish, so that a cell that is never written shows.
    os.environ.setdefault("PERCEPTION_KERNELS_POISON", "1")
    # A machine that is only there to test kernels (make gpu-check) has no ROS 2 and few packages.
    if importlib.util.find_spec("pydantic"):
        from perception.bringup.graph.isolation import isolated_environment

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


@pytest.fixture(scope="session")
def full_size_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """SPVCNN with its official widths and drawn weights, on voxels of 5 cm, as a bundle."""
    from perception.export.exporter import export_network
    from tests.export.full_size import full_size_source

    folder = tmp_path_factory.mktemp("full_size") / "spvcnn_full_size"
    export_network(full_size_source(), folder)
    return folder


@pytest.fixture(scope="session")
def device(request: pytest.FixtureRequest) -> Device:
    """Where the calls of a test run: `device.array(x)` puts arrays there, `device.numpy(x)` brings results back."""
    kind = request.config.getoption("--device")
    has_cuda = binding.library().pk_has_cuda()
    needed = {"cpu": has_cuda, "emulated": 2, "cuda": 1}[kind]
    assert has_cuda == needed, f"the library at {binding.library()._name} was not built for the device {kind}"
    return Device(kind)
