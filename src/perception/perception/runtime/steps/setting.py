"""What the steps of a graph are built with, and what they look like."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perception.bundle.graph import Operation, Spec
from perception.ops import LayerNorm
from perception.ops.tuning import ConvolutionTuner
from perception.runtime.dense.region import DenseRegion
from perception.runtime.place import Place
from perception.runtime.weights import LayerWeights, layer_weights

Values = Mapping[str, Any]
#: Gives what an operation makes, by role, from what goes in, by role, and from the memory for what it makes.
Run = Callable[[Values, Values], dict[str, Any]]


@dataclass(frozen=True)
class Setting:
    """What operations are built with.

    Attributes:
        tensors: the weights of the bundle.
        place: where arrays lie.
        threads: CPU threads, all by default.
        regions: the dense regions, by file.
        tuner: chooses how a GPU computes each convolution; None on the CPU, where there is nothing to choose.
    """

    tensors: Mapping[str, NDArray[Any]]
    place: Place
    threads: int | None
    regions: Mapping[str, DenseRegion]
    tuner: ConvolutionTuner | None = None

    def layer(self, operation: Operation, features: Spec) -> LayerWeights:
        """The weights of a layer, where it runs."""
        held = features.shape[-1]
        assert isinstance(held, int)
        channels = len(used_channels(operation, held))
        weight, bias = layer_weights(operation, self.tensors, channels)
        return LayerWeights(self.place.upload(weight), None if bias is None else self.place.upload(bias))

    def layer_norm(self, operation: Operation) -> LayerNorm | None:
        """The layer norm after a linear layer, where it runs; None where there is none."""
        prefix = operation.weights.get("layer_norm")
        if prefix is None:
            return None
        weight, bias = (self.tensors[f"{prefix}.{name}"].astype(np.float32) for name in ("weight", "bias"))
        epsilon: Any = operation.attributes.get("layer_norm_epsilon", 1e-5)
        return LayerNorm(self.place.upload(weight), self.place.upload(bias), epsilon)


def used_channels(operation: Operation, held: int) -> range:
    """Which of the channels of its features an operation uses."""
    a: dict[str, Any] = dict(operation.attributes)
    first = a.get("first_channel", 0)
    return range(first, first + a["channels"] if "channels" in a else held)


def columns(features: Any, used: range) -> Any:
    """Those columns of an array, where they lie."""
    return features if len(used) == features.shape[1] else features[:, used.start : used.stop]


Builder = Callable[[Operation, Mapping[str, Spec], Setting], Run]
