"""From a bundle's description to its network."""

from __future__ import annotations

from perception.bundle.format import NetworkSettings
from perception.models.spvcnn import SPVCNN


def build_network(settings: NetworkSettings, classes: int) -> SPVCNN:
    """Build the network that a bundle or a training configuration describes, with fresh weights."""
    networks = {"spvcnn": SPVCNN}
    return networks[settings.model](classes, settings.width, settings.input_channels)
