"""The set-up script: what it skips, goes on with, leaves to a sourced ROS 2, and says when it cannot help."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture
def setup_script(top: Path, tmp_path: Path) -> ModuleType:
    """scripts/setup.py as a module whose .venv is a temporary folder."""
    spec = importlib.util.spec_from_file_location("setup_script", top / "scripts" / "setup.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.VENV = tmp_path
    module.LOG = tmp_path / "setup.log"
    module.TOP = tmp_path
    return module


def test_a_finished_step_is_skipped_until_its_inputs_change(setup_script: ModuleType) -> None:
    assert setup_script.Step("venv", "3.11").needed()
    with setup_script.Step("venv", "3.11"):
        pass
    assert not setup_script.Step("venv", "3.11").needed()
    assert setup_script.Step("venv", "3.12").needed()


def test_the_workspace_is_built_again_when_its_build_folder_is_gone(
    setup_script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    builds: list[str] = []
    monkeypatch.setattr(setup_script, "BUILD", tmp_path / "build")
    monkeypatch.setattr(setup_script, "sources_of_build", list)
    monkeypatch.setattr(setup_script.shutil, "which", lambda *_, **__: "colcon")
    monkeypatch.setattr(setup_script, "run", lambda command, what, **_: builds.append(what))
    monkeypatch.setattr(setup_script, "link_package", lambda: (tmp_path / "build" / "perception").mkdir(parents=True))
    setup_script.build_workspace()
    setup_script.build_workspace()
    assert builds == ["colcon build"]
    (tmp_path / "build" / "perception").rmdir()
    (tmp_path / "build").rmdir()
    setup_script.build_workspace()
    assert builds == ["colcon build"] * 2


def interrupt(setup_script: ModuleType) -> None:
    with setup_script.Step("packages", "lock"):
        raise KeyboardInterrupt


def test_an_interrupted_step_runs_again(setup_script: ModuleType) -> None:
    with setup_script.Step("packages", "lock"):
        pass
    with pytest.raises(KeyboardInterrupt):
        interrupt(setup_script)
    assert setup_script.Step("packages", "lock").needed()


def test_a_failed_command_shows_its_output_and_where_the_rest_is(
    setup_script: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match=r"building failed; the whole output is in setup\.log"):
        setup_script.run(["sh", "-c", "echo what went wrong; exit 3"], "building")
    assert "what went wrong" in capsys.readouterr().err


def test_without_root_the_line_to_type_is_printed(setup_script: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(setup_script, "SYSTEM_LIBRARIES", {"libnot-there.so.9": "libnot-there-9"})
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(SystemExit, match="type: sudo apt-get install -y libnot-there-9"):
        setup_script.install_system_libraries()


def test_a_sourced_ros_is_not_installed_again(setup_script: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "\nros-kilted-rclpy==" in setup_script.locked_requirements()
    monkeypatch.setattr(setup_script, "SYSTEM_ROS", True)
    requirements = setup_script.locked_requirements()
    assert "\nros-" not in requirements
    assert "\ncolcon" not in requirements
    assert "\nrosbags==" in requirements


def test_every_requirement_is_pinned(setup_script: ModuleType) -> None:
    files = setup_script.locked_requirements() + setup_script.ALONE.read_text()
    lines = [line for line in files.splitlines() if line and not line.startswith("#")]
    assert lines
    assert [line for line in lines if "==" not in line] == []


def test_wheels_cmake_files_are_pointed_at_this_environment(setup_script: ModuleType, tmp_path: Path) -> None:
    file = tmp_path / "share" / "some_msgs" / "cmake" / "export.cmake"
    file.parent.mkdir(parents=True)
    setup_script.output_of_python = lambda code: "/here/numpy/include"
    python, numpy = "/opt/python/cp311-cp311/include/python3.11", "/opt/python/cp311-cp311/lib/numpy/_core/include"
    file.write_text(f'INCLUDE "{python};{numpy}"\n')
    setup_script.relocate_cmake_files()
    assert "/opt/python" not in file.read_text()
    assert file.read_text().endswith(';/here/numpy/include"\n')
