"""Sparse convolutions with the parameter layout of torchsparse, so that its checkpoints load unchanged."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from perception.nn.sparse_tensor import SparseTensor
from perception.ops import autograd


class Conv3d(nn.Module):
    """Correlate voxels with a kernel: ``out[o] = sum over k of in[table[o, k]] @ kernel[k]``; there is no bias.

    Size 3 stays on its level (submanifold), size 2 goes one level down, or up where it is transposed, and size 1 is
    a matrix product. Weight order (torchsparse): size 3 has x fastest, ``(dx+1) + 3(dy+1) + 9(dz+1)``; size 2 has z
    fastest, ``4dx + 2dy + dz``.

    Attributes:
        kernel: float [kernel_size ** 3, in_channels, out_channels], or [in_channels, out_channels] for size 1.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int = 3, transposed: bool = False) -> None:
        super().__init__()
        if kernel_size not in (1, 2, 3) or (transposed and kernel_size != 2):
            raise ValueError(f"no convolution of size {kernel_size}, transposed {transposed}")
        self.kernel_size = kernel_size
        self.transposed = transposed
        volume = kernel_size**3
        shape = (in_channels, out_channels) if kernel_size == 1 else (volume, in_channels, out_channels)
        self.kernel = nn.Parameter(torch.empty(shape))
        bound = 1 / math.sqrt((out_channels if transposed else in_channels) * volume)
        nn.init.uniform_(self.kernel, -bound, bound)

    def extra_repr(self) -> str:
        """What print(network) shows."""
        *_, in_channels, out_channels = self.kernel.shape
        return f"{in_channels}, {out_channels}, kernel_size={self.kernel_size}, transposed={self.transposed}"

    def output_level(self, stride: int) -> int:
        """The level that the output of an input on level `stride` is on."""
        if self.kernel_size != 2:
            return stride
        return stride // 2 if self.transposed else stride * 2

    def forward(self, tensor: SparseTensor) -> SparseTensor:
        """Convolve; the result is on `output_level(tensor.stride)`. Differentiable."""
        features, tables, level = tensor.features, tensor.tables, self.output_level(tensor.stride)
        if self.kernel_size == 1:
            result = features @ self.kernel
        elif self.transposed:
            result = autograd.inverse_convolution(features, *tables.up(level), self.kernel)
        else:
            table, submanifold = self.table(tensor), self.kernel_size == 3
            result = autograd.sparse_convolution(features, table, self.kernel, submanifold=submanifold)
        return SparseTensor(result, tables, level)

    def table(self, tensor: SparseTensor) -> NDArray[np.int32]:
        """The neighbour table of this convolution (of size 2 or 3, not transposed) on the tensor's level."""
        tables, stride = tensor.tables, tensor.stride
        return tables.submanifold(stride) if self.kernel_size == 3 else tables.down(stride)
