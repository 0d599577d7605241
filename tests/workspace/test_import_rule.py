"""The import rule of the design: who may import whom, and what must import without ROS 2 and without PyTorch."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = "perception"
LEAVES = {"types", "classes", "configuration", "paths", "__init__"}
#: part of the package -> the parts that it may import besides itself and the leaves.
ALLOWED: dict[str, set[str]] = {
    "ops": set(),
    "nn": {"ops", "bundle"},
    "bundle": {"ops"},
    "runtime": {"ops", "bundle"},
    "models": {"ops", "nn", "runtime", "bundle"},
    "data": set(),
    "export": {"ops", "nn", "models", "bundle", "runtime", "data"},
    "training": {"ops", "nn", "models", "export", "bundle", "data", "runtime", "evaluation"},
    "golden": {"ops", "nn", "models", "bundle", "runtime"},
    "evaluation": {"ops", "runtime", "data", "bundle"},
    # Clouds and transforms are read by the same code from a bag and from a topic.
    "ros": {"runtime", "bundle", "ops", "data"},
    "nodes": {"ros", "runtime", "bundle", "data"},
    "bringup": {"nodes", "ros", "runtime", "bundle", "data", "evaluation"},
    "cli": set(),
}
#: part -> third-party packages that it must not import, at any depth of nesting.
ROS_PACKAGES = {
    "rclpy",
    "rosidl_runtime_py",
    "builtin_interfaces",
    "diagnostic_msgs",
    "geometry_msgs",
    "lifecycle_msgs",
    "nav_msgs",
    "perception_interfaces",
    "rosgraph_msgs",
    "sensor_msgs",
    "std_msgs",
    "tf2_msgs",
    "tf2_ros",
    "vision_msgs",
    "visualization_msgs",
}
ROS_PARTS = {"ros", "nodes", "bringup"}
TORCH_PARTS = {"nn", "models", "export", "training", "golden"}
TORCH_FILES = {
    "ops/reference_images.py",
    "ops/autograd.py",
    "ops/autograd_bev.py",
    "ops/autograd_voxels.py",
    "ops/reference.py",
    "ops/reference_attention.py",
    "ops/reference_bev.py",
    "ops/reference_boxes.py",
    "ops/reference_maps.py",
    "ops/reference_rows.py",
    "ops/reference_voxels.py",
    "ops/reference_pillars.py",
}


def imported_modules(source: str) -> set[str]:
    """Dotted names of everything that the source imports anywhere, also inside functions."""
    modules = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute, so that this test can read them"
            modules |= {f"{node.module}.{alias.name}" for alias in node.names}
    return modules


def violations(root: Path) -> list[str]:
    """Every import below the package folder `root` that the rule forbids."""
    found = []
    for file in sorted(root.rglob("*.py")):
        relative = file.relative_to(root)
        part = relative.parts[0].removesuffix(".py")
        for module in sorted(imported_modules(file.read_text())):
            top = module.split(".")[0]
            if top == PACKAGE:
                words = module.split(".")
                target = words[1] if len(words) > 1 else "__init__"
                known = target in ALLOWED or target in LEAVES
                if known and target != part and target not in ALLOWED.get(part, set()) | LEAVES:
                    found.append(f"{relative} imports {module}")
            elif top in ROS_PACKAGES and part not in ROS_PARTS:
                found.append(f"{relative} imports {module}: ROS stays at the edge")
            elif top == "torch" and part not in TORCH_PARTS and relative.as_posix() not in TORCH_FILES:
                found.append(f"{relative} imports {module}: the deployed path needs no PyTorch")
    return found


def test_imports_run_one_way(top: Path) -> None:
    assert violations(top / "src" / PACKAGE / PACKAGE) == []


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("runtime/bad.py", "from perception.models.spvcnn import SPVCNN"),
        ("runtime/bad.py", "import perception.nn"),
        ("nodes/bad.py", "from perception import training"),
        ("ops/bad.py", "from perception.runtime import Engine"),
        ("evaluation/bad.py", "def late():\n    import rclpy"),
        ("data/bad.py", "from sensor_msgs.msg import PointCloud2"),
        ("runtime/bad.py", "import torch"),
        ("ros/bad.py", "def late():\n    from torch import nn"),
        ("types.py", "from perception.ops import binding"),
    ],
)
def test_a_broken_rule_is_found(tmp_path: Path, file: str, line: str) -> None:
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_text(line)
    assert len(violations(tmp_path)) == 1


IMPORT_WITHOUT = """
import importlib.abc, sys
class Refuse(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {refused!r}:
            raise ImportError(f"{{name}} was imported")
sys.meta_path.insert(0, Refuse())
import {modules}
"""


@pytest.mark.parametrize(
    ("modules", "refused"),
    [
        ("perception.ops, perception.runtime, perception.data, perception.evaluation", ROS_PACKAGES | {"torch"}),
        ("perception.models.engine, perception.training, perception.export.command", ROS_PACKAGES),
        ("perception.nodes.segmentation, perception.nodes.detection, perception.nodes.replay", {"torch"}),
    ],
)
def test_imports_without(modules: str, refused: set[str]) -> None:
    code = IMPORT_WITHOUT.format(modules=modules, refused=refused)
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=dict(os.environ))
    assert result.returncode == 0, result.stderr
