"""How the executor runs each operation of a graph; `perception.bundle.definitions` says what it takes and gives."""

from collections.abc import Mapping

from perception.bundle.graph import Operation, Spec
from perception.runtime.steps.layers import LAYERS
from perception.runtime.steps.pillars import PILLARS
from perception.runtime.steps.setting import Builder, Run, Setting
from perception.runtime.steps.tables import TABLES
from perception.runtime.steps.volumes import VOLUMES
from perception.runtime.steps.voxels import VOXELS

__all__ = ["BUILDERS", "Run", "Setting", "build"]

BUILDERS: dict[str, Builder] = TABLES | LAYERS | VOLUMES | PILLARS | VOXELS


def build(operation: Operation, inputs: Mapping[str, Spec], setting: Setting) -> Run:
    """Prepare an operation: everything that does not depend on a frame is done here, once."""
    return BUILDERS[operation.op](operation, inputs, setting)
