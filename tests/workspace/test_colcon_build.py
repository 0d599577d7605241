"""A robot's workspace is built by colcon, not by our Makefile: both kinds of install must work there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGES = {"perception", "perception_interfaces", "perception_kernels", "vision_msgs", "tf2_msgs"}


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("options", [[], ["--symlink-install"]], ids=["copied", "symlinked"])
def test_colcon_builds_every_package(top: Path, tmp_path: Path, options: list[str]) -> None:
    colcon = shutil.which("colcon", path=f"{sys.prefix}/bin{os.pathsep}{os.environ['PATH']}")
    assert colcon
    prefixes = os.pathsep.join(filter(None, [sys.prefix, os.environ.get("AMENT_PREFIX_PATH")]))
    environment = {
        **os.environ,
        "PATH": f"{sys.prefix}/bin{os.pathsep}{os.environ['PATH']}",
        "VIRTUAL_ENV": sys.prefix,
        "AMENT_PREFIX_PATH": prefixes,
        "CMAKE_PREFIX_PATH": prefixes,
    }
    folders = [f"--{name}-base={tmp_path / name}" for name in ("build", "install")]
    result = subprocess.run(
        [colcon, f"--log-base={tmp_path / 'log'}", "build", *folders, *options],
        cwd=top,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    installed = {folder.name for folder in (tmp_path / "install").iterdir() if folder.is_dir()}
    assert installed >= PACKAGES
    prefix = tmp_path / "install" / "perception"
    for node in ("segmentation", "detection"):
        assert (prefix / "lib" / "perception" / node).is_file()
    for file in (
        "launch/bringup.launch.py",
        "launch/evaluate.launch.py",
        "config/bringup.yaml",
        "config/models/spvcnn_street/bundle.yaml",
    ):
        assert (prefix / "share" / "perception" / file).read_text() == (top / file).read_text()
    assert list((tmp_path / "install" / "perception_kernels" / "lib").glob("libperception_kernels.so*"))
