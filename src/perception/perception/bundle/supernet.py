"""A supernet: one set of weights that holds many networks, each a slice of its arrays.

A sub-network uses the first channels of every layer and the first blocks of every stage (Tang et al., SPVNAS, ECCV
2020, section 4: fine-grained channels, elastic depth, kernel size fixed at 3). The rules need NumPy only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import pydantic

from perception.bundle.architecture import Range, SpvnasArchitecture, StageWidths, layers_of
from perception.configuration import Settings

NORM_VECTORS = ("weight", "bias", "running_mean", "running_var")
NORM_COUNTER = "num_batches_tracked"

Array = TypeVar("Array")


class Elasticity(Settings):
    """How much smaller than the largest network the networks of a supernet may be.

    Attributes:
        granularity: widths are multiples of it.
        min_ratio: the narrowest layer, as a share of the largest network's; never less than one granule.
        min_depth: the fewest residual blocks of a stage.
    """

    granularity: int = pydantic.Field(default=8, ge=1)
    min_ratio: float = pydantic.Field(default=0.25, gt=0, le=1)
    min_depth: int = pydantic.Field(default=1, ge=1)


class SupernetSpace(Elasticity):
    """The networks inside a supernet.

    Attributes:
        largest: the network with all of its weights.
    """

    largest: SpvnasArchitecture

    @pydantic.model_validator(mode="after")
    def _depths_fit(self) -> SupernetSpace:
        if self.min_depth > min(len(stage.hidden) for stage in self._stages):
            raise ValueError(f"min_depth is {self.min_depth}, more blocks than some stage of the largest network has")
        return self

    @property
    def _stages(self) -> tuple[StageWidths, ...]:
        return (*self.largest.down, *self.largest.up)

    @property
    def max_depth(self) -> int:
        """The most residual blocks of a stage."""
        return max(len(stage.hidden) for stage in self._stages)

    def widths(self, full: int) -> range:
        """The widths that a layer of `full` channels can have."""
        granules = max(1, -(-round(full * self.min_ratio, 6) // self.granularity))
        lowest = min(full, int(granules) * self.granularity)
        return range(lowest, full + 1, self.granularity)

    def sample(self, rng: np.random.Generator, min_depth: int | None = None) -> SpvnasArchitecture:
        """Draw a network: every width and every depth uniformly and independently.

        Args:
            rng: where chance comes from.
            min_depth: the fewest blocks of a stage that has that many; the space's own by default. Progressive
                shrinking lowers it step by step.
        """
        lowest = self.min_depth if min_depth is None else min_depth

        def width(full: int) -> int:
            return int(rng.choice(self.widths(full)))

        def stage(full: StageWidths) -> StageWidths:
            depth = int(rng.integers(min(lowest, len(full.hidden)), len(full.hidden) + 1))
            hidden = tuple(width(channels) for channels in full.hidden[:depth])
            return StageWidths(transition=width(full.transition), hidden=hidden, out=width(full.out))

        return self._network([stage(full) for full in self._stages])

    def scaled(self, ratio: float, depth: int) -> SpvnasArchitecture:
        """The network whose widths are all about `ratio` of the largest one's, with at most `depth` blocks a stage."""

        def width(full: int) -> int:
            return min(self.widths(full), key=lambda channels: (abs(channels - ratio * full), channels))

        return self._network(
            [
                StageWidths(
                    transition=width(full.transition),
                    hidden=tuple(width(channels) for channels in full.hidden[:depth]),
                    out=width(full.out),
                )
                for full in self._stages
            ]
        )

    @property
    def smallest(self) -> SpvnasArchitecture:
        """The network with the fewest channels and blocks."""
        return self.scaled(0.0, self.min_depth)

    def _network(self, stages: Sequence[StageWidths]) -> SpvnasArchitecture:
        four = len(self.largest.down)
        values = {"stem": self.largest.stem, "down": stages[:four], "up": stages[four:]}
        return SpvnasArchitecture.model_validate(values | {"classifier": self.largest.classifier})


@dataclass(frozen=True)
class TensorSlice:
    """The part of a supernet's tensor that a sub-network uses: ranges of each axis, joined where there are several."""

    ranges: tuple[tuple[Range, ...], ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the sub-network's tensor."""
        return tuple(sum(end - start for start, end in axis) for axis in self.ranges)


def tensor_slices(
    network: SpvnasArchitecture, supernet: SpvnasArchitecture, classes: int, input_channels: int = 4
) -> dict[str, TensorSlice]:
    """Which part of each of the supernet's tensors a sub-network uses, by name.

    Names are those of a specialised network, in which form the supernet is stored too: it is its own largest network.
    """
    slices: dict[str, TensorSlice] = {}
    for layer in layers_of(network, classes, input_channels, supernet):
        slices[layer.weight] = TensorSlice(layer.weight_ranges())
        vectors = [f"{layer.norm}.{vector}" for vector in NORM_VECTORS] if layer.norm else []
        vectors += [layer.bias] if layer.bias else []
        slices |= {name: TensorSlice((((0, layer.out),),)) for name in vectors}
        if layer.norm:
            slices[f"{layer.norm}.{NORM_COUNTER}"] = TensorSlice(())
    return slices


def cut(array: Array, part: TensorSlice, join: Callable[[list[Any], int], Any] = np.concatenate) -> Array:
    """Take a slice out of a supernet's array; a view where no axis has several ranges.

    Args:
        array: NumPy array, or whatever can be sliced like one.
        part: what to take.
        join: puts pieces together along an axis; `torch.cat` for tensors.
    """
    for axis, ranges in enumerate(part.ranges):
        pieces = [array[(slice(None),) * axis + (slice(start, end),)] for start, end in ranges]  # type: ignore[index]
        array = pieces[0] if len(pieces) == 1 else join(pieces, axis)
    return array


def specialise(
    tensors: Mapping[str, np.ndarray],
    network: SpvnasArchitecture,
    supernet: SpvnasArchitecture,
    classes: int,
    input_channels: int = 4,
) -> dict[str, np.ndarray]:
    """The weights of a sub-network, cut out of those of the supernet.

    Batch-norm counters are left out where the supernet's bundle has none, as in half precision.
    """
    slices = tensor_slices(network, supernet, classes, input_channels)
    wanted = {name: part for name, part in slices.items() if name in tensors or not name.endswith(NORM_COUNTER)}
    return {name: cut(tensors[name], part) for name, part in wanted.items()}
