"""From a bundle's description to its network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from perception.bundle.detection import FlatFormerSettings, MapDetectorSettings
from perception.bundle.format import MinkunetSettings, NetworkSettings, PvcnnSettings, SpvcnnSettings, SpvnasSettings
from perception.bundle.voxelnet import VoxelNetSettings
from perception.models.centerpoint import CenterPoint
from perception.models.detector import MapDetector
from perception.models.flatformer import FlatFormer
from perception.models.minkunet import MinkUNet
from perception.models.pvcnn import PVCNN
from perception.models.spvcnn import SPVCNN
from perception.models.spvnas import SPVNAS

#: How to build what each kind of settings describes, for a number of classes.
BUILDERS: dict[type, Callable[[Any, int], nn.Module]] = {
    SpvcnnSettings: lambda settings, classes: SPVCNN(classes, settings.width, settings.input_channels),
    MinkunetSettings: lambda settings, classes: MinkUNet(classes, settings.width, settings.input_channels),
    SpvnasSettings: lambda settings, classes: SPVNAS(classes, settings.architecture, settings.input_channels),
    PvcnnSettings: lambda settings, classes: PVCNN(
        classes, settings.input_channels, settings.width, settings.voxel_resolution, "fixed"
    ),
}
#: The same of detectors.
DETECTORS: dict[type, Callable[[Any, int], MapDetector]] = {
    FlatFormerSettings: FlatFormer,
    VoxelNetSettings: CenterPoint,
}


def build_network(settings: NetworkSettings, classes: int) -> nn.Module:
    """Build the network that a bundle or a training configuration describes, with fresh weights."""
    return BUILDERS[type(settings)](settings, classes)


def build_detector(settings: MapDetectorSettings, classes: int) -> MapDetector:
    """Build the detector that a bundle or a training configuration describes, with fresh weights."""
    return DETECTORS[type(settings)](settings, classes)
