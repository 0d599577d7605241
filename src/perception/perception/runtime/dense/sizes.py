"""How large the sizes get that have names in a bundle's dense regions: engines are built for ranges of them."""

from __future__ import annotations

from typing import Any

from perception.bundle.deployment_checks import largest_counts
from perception.bundle.format import PvcnnSettings
from perception.bundle.loading import Bundle
from perception.runtime.dense.settings import SizeRange
from perception.runtime.labellers import BLOCKS_AT_ONCE


def region_sizes(bundle: Bundle[Any]) -> dict[str, SizeRange]:
    """Tell the range of every named size in a bundle's graph, from the smallest to the largest frame.

    Blocks go through the network together, and the smaller ones repeat their points, so that mostly both are full.
    """
    largest = largest_counts(bundle.graph, bundle.description)
    if isinstance(bundle.description.network, PvcnnSettings):
        return {name: _full(largest[name] if name == "points" else BLOCKS_AT_ONCE) for name in sorted(largest)}
    return {name: SizeRange(1, max(most // 4, 1), most) for name, most in sorted(largest.items())}


def _full(largest: int) -> SizeRange:
    return SizeRange(1, largest, largest)
