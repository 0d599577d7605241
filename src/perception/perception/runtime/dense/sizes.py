"""How large the sizes get that have names in a bundle's dense regions: engines are built for ranges of them."""

from __future__ import annotations

from perception.bundle.format import PvcnnSettings
from perception.bundle.loading import Bundle
from perception.runtime.dense.settings import SizeRange
from perception.runtime.labellers import BLOCKS_AT_ONCE


def region_sizes(bundle: Bundle) -> dict[str, SizeRange]:
    """Tell the range of every named size in a bundle's graph, from the smallest to the largest frame.

    Blocks go through the network together, and the smaller ones repeat their points, so that mostly both are full.
    """
    names = {size for spec in bundle.graph.specs.values() for size in spec.shape if isinstance(size, str)}
    return {name: _range(bundle, name) for name in sorted(names)}


def _range(bundle: Bundle, name: str) -> SizeRange:
    network = bundle.description.network
    if isinstance(network, PvcnnSettings):
        largest = network.blocks.points if name == "points" else BLOCKS_AT_ONCE
        return SizeRange(1, largest, largest)
    largest = bundle.description.capacity_voxels
    return SizeRange(1, max(largest // 4, 1), largest)
