"""The layers of MinkUNet of width 1.0 (the official SemanticKITTI channels), with random weights.

Batch norms are folded into weights and biases, as for inference.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

STEM = ((4, 32), (32, 32))
STAGES = ((32, 32), (32, 64), (64, 128), (128, 256))
#: Channels from below, of the skip connection and of the result.
ASCENTS = ((256, 128, 256), (256, 64, 128), (128, 32, 96), (96, 32, 96))
PAIRS_OF_A_ROW = 6  # of a LiDAR's cloud, about; keeps the size of features from layer to layer


class Layer(NamedTuple):
    """A convolution with its batch norm folded in: weight [K, C_in, C_out], bias [C_out]."""

    weight: NDArray[np.float32]
    bias: NDArray[np.float32]


class Shape(NamedTuple):
    """What one layer is: its sizes, and where it works.

    Attributes:
        volume: 27 on one level, 8 between `level` and the next coarser one, 1 for a matrix product.
        level: how often the voxels were halved; of the two levels the finer one.
        up: whether it leads to the finer level.
    """

    volume: int
    inputs: int
    outputs: int
    level: int
    up: bool = False


def layer_shapes() -> Iterator[Shape]:
    """List the layers in the order in which they run; a shortcut comes before what it goes around."""
    for inputs, outputs in STEM:
        yield Shape(27, inputs, outputs, 0)
    for level, (inputs, outputs) in enumerate(STAGES):
        yield Shape(8, inputs, inputs, level)
        yield from _residual_shapes(inputs, outputs, level + 1)
    for level, (below, skip, outputs) in zip(reversed(range(len(STAGES))), ASCENTS, strict=True):
        yield Shape(8, below, outputs, level, up=True)
        yield from _residual_shapes(outputs + skip, outputs, level)


def random_layers(seed: int = 0) -> list[Layer]:
    """Draw the weights of all layers, in the order in which they run."""
    rng = np.random.default_rng(seed)

    def draw(shape: Shape) -> Layer:
        scale = np.float32(np.sqrt(1 / (shape.inputs * min(shape.volume, PAIRS_OF_A_ROW))))
        weight = rng.standard_normal((shape.volume, shape.inputs, shape.outputs), np.float32) * scale
        return Layer(weight, np.float32(0.1) * rng.standard_normal(shape.outputs, np.float32))

    return [draw(shape) for shape in layer_shapes()]


def _residual_shapes(inputs: int, outputs: int, level: int) -> Iterator[Shape]:
    """Two blocks of two convolutions; the first has one in its shortcut where the width changes."""
    if inputs != outputs:
        yield Shape(1, inputs, outputs, level)
    yield Shape(27, inputs, outputs, level)
    for _ in range(3):
        yield Shape(27, outputs, outputs, level)
