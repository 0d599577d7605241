"""What each operation of a graph takes and gives, family by family."""

from perception.bundle.definitions.arguments import Arguments, Definition, MisfitError, Shapes, pairs_of
from perception.bundle.definitions.layers import LAYERS
from perception.bundle.definitions.pillars import PILLARS
from perception.bundle.definitions.tables import TABLES
from perception.bundle.definitions.volumes import VOLUMES
from perception.bundle.definitions.voxels import VOXELS

__all__ = ["DEFINITIONS", "Arguments", "Definition", "MisfitError", "Shapes", "pairs_of"]

#: Every operation of the executor, by name.
DEFINITIONS: dict[str, Definition] = TABLES | LAYERS | VOLUMES | PILLARS | VOXELS
