"""What runs in the process of spconv: a layer with a ready map, and a whole MinkUNet.

spconv counts z, y, x where we count x, y, z, and keeps weights as [C_out, kz, ky, kx, C_in].
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch

from benchmarks.spconv_peer.minkunet_plan import ASCENTS, STAGES, STEM, Layer

LEVELS = 16  # sides are a multiple of the coarsest stride, or spconv would leave voxels out


def serve(connection: Any, folder: str) -> None:
    """Answer requests until the other side is gone."""
    sys.path.append(folder)
    logging.disable(logging.WARNING)  # importing spconv makes torch warn about itself
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    calls: dict[int, Callable[[], torch.Tensor]] = {}
    while True:
        try:
            request = connection.recv()
        except EOFError:
            return
        if request[0] == "prepare":
            _, name, kind, arguments = request
            calls[name] = KINDS[kind](*arguments)
            connection.send(calls[name]().numpy())
        else:
            calls[request[1]]()
            connection.send(None)


def prepare_layer(coords: np.ndarray, features: np.ndarray, weight: np.ndarray) -> Callable[[], torch.Tensor]:
    """One submanifold convolution of size 3 with a ready map."""
    import spconv.pytorch as spconv

    _, inputs, outputs = weight.shape
    module = spconv.SubMConv3d(inputs, outputs, 3, bias=False, indice_key="map").eval()
    module.weight.copy_(torch.from_numpy(_cube(weight)))
    tensor = _tensor(spconv, coords, features)
    module(tensor)
    return lambda: module(tensor).features


def prepare_maps(coords: np.ndarray, levels: int) -> Callable[[], torch.Tensor]:
    """The maps of a U-Net and nothing else, size 3 on every level and size 2 between them; gives the pairs of each."""
    from spconv.core import ConvAlgo
    from spconv.pytorch.ops import get_indice_pairs

    finest = _indices(coords)
    batches, none, ones = int(coords[:, 0].max()) + 1, [0] * 3, [1] * 3

    def pairs(indices: torch.Tensor, sides: list[int], size: int, stride: int) -> tuple[torch.Tensor, ...]:
        arguments = ([size] * 3, [stride] * 3, none, ones, none, stride == 1)
        return get_indice_pairs(indices, batches, sides, ConvAlgo.Native, *arguments)

    def build() -> torch.Tensor:
        indices, sides = finest, _sides(finest)
        counts = [pairs(indices, sides, 3, 1)[2]]
        for _ in range(levels - 1):
            indices, _, count = pairs(indices, sides, 2, 2)
            sides = [side // 2 for side in sides]
            counts += [count, pairs(indices, sides, 3, 1)[2]]
        return torch.cat(counts)

    return build


def prepare_minkunet(coords: np.ndarray, features: np.ndarray, layers: list[Layer]) -> Callable[[], torch.Tensor]:
    """The network of minkunet_plan, maps included."""
    import spconv.pytorch as spconv

    network = _MinkUNet(spconv, layers)
    return lambda: network.forward(_tensor(spconv, coords, features)).features


KINDS: dict[str, Callable[..., Callable[[], torch.Tensor]]] = {
    "layer": prepare_layer,
    "maps": prepare_maps,
    "minkunet": prepare_minkunet,
}


class _MinkUNet:
    """The layers as spconv's modules, batch norms folded into weights and biases as on our side."""

    def __init__(self, spconv: Any, layers: list[Layer]) -> None:
        self._spconv = spconv
        rest = iter(layers)
        self.stem = [_submanifold(spconv, next(rest), "level0") for _ in STEM]
        self.stages = []
        for level, (inputs, outputs) in enumerate(STAGES):
            down = _down(spconv, next(rest), level)
            self.stages.append((down, self._blocks(rest, level + 1, inputs, outputs)))
        self.ascents = []
        for level, (_, skip, outputs) in zip(reversed(range(len(STAGES))), ASCENTS, strict=True):
            up = _up(spconv, next(rest), level)
            self.ascents.append((up, self._blocks(rest, level, outputs + skip, outputs)))

    def forward(self, x: Any) -> Any:
        for layer in self.stem:
            x = _relu(layer(x))
        skips = []
        for down, blocks in self.stages:
            skips.append(x)
            x = self._run(blocks, _relu(down(x)))
        for up, blocks in self.ascents:
            x = _relu(up(x))
            x = self._run(blocks, x.replace_feature(torch.cat([x.features, skips.pop().features], 1)))
        return x

    def _blocks(self, rest: Iterator[Layer], level: int, inputs: int, outputs: int) -> list[tuple[Any, Any, Any]]:
        shortcuts = [next(rest) if inputs != outputs else None, None]
        layers = [_submanifold(self._spconv, next(rest), f"level{level}") for _ in range(4)]
        return [(shortcuts[0], layers[0], layers[1]), (shortcuts[1], layers[2], layers[3])]

    @staticmethod
    def _run(blocks: list[tuple[Any, Any, Any]], x: Any) -> Any:
        for shortcut, first, second in blocks:
            skip = x.features
            if shortcut is not None:
                skip = torch.addmm(torch.from_numpy(shortcut.bias), skip, torch.from_numpy(shortcut.weight[0]))
            x = second(_relu(first(x)))
            x = x.replace_feature(torch.relu_(x.features + skip))
        return x


def _tensor(spconv: Any, coords: np.ndarray, features: np.ndarray) -> Any:
    indices = _indices(coords)
    return spconv.SparseConvTensor(torch.from_numpy(features), indices, _sides(indices), 1)


def _indices(coords: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(coords[:, [0, 3, 2, 1]]))


def _sides(indices: torch.Tensor) -> list[int]:
    sides: list[int] = ((indices[:, 1:].amax(0) // LEVELS + 1) * LEVELS).tolist()
    return sides


def _relu(x: Any) -> Any:
    return x.replace_feature(torch.relu_(x.features))


class _Folded:
    """A module with the bias of its batch norm, which spconv's CPU kernels cannot add themselves."""

    def __init__(self, module: Any, weight: np.ndarray, bias: np.ndarray) -> None:
        module.weight.copy_(torch.from_numpy(np.ascontiguousarray(weight)))
        self._module, self._bias = module.eval(), torch.from_numpy(bias)

    def __call__(self, x: Any) -> Any:
        x = self._module(x)
        return x.replace_feature(x.features.add_(self._bias))


def _submanifold(spconv: Any, layer: Layer, key: str) -> _Folded:
    _, inputs, outputs = layer.weight.shape
    module = spconv.SubMConv3d(inputs, outputs, 3, bias=False, indice_key=key)
    return _Folded(module, _cube(layer.weight), layer.bias)


def _cube(weight: np.ndarray) -> np.ndarray:
    """A weight of size 3 in spconv's order; x is fastest in both."""
    return np.ascontiguousarray(weight.reshape(3, 3, 3, *weight.shape[1:]).transpose(4, 0, 1, 2, 3))


def _halves(layer: Layer) -> np.ndarray:
    """A weight of size 2 in spconv's order; ours has z fastest."""
    return layer.weight.reshape(2, 2, 2, *layer.weight.shape[1:]).transpose(4, 2, 1, 0, 3)


def _down(spconv: Any, layer: Layer, level: int) -> _Folded:
    _, inputs, outputs = layer.weight.shape
    module = spconv.SparseConv3d(inputs, outputs, 2, 2, bias=False, indice_key=f"down{level}")
    return _Folded(module, _halves(layer), layer.bias)


def _up(spconv: Any, layer: Layer, level: int) -> _Folded:
    _, inputs, outputs = layer.weight.shape
    module = spconv.SparseInverseConv3d(inputs, outputs, 2, bias=False, indice_key=f"down{level}")
    return _Folded(module, _halves(layer), layer.bias)
