"""Sparse convolutions with the parameter layout of torchsparse, so that its checkpoints load unchanged."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from perception.nn import _shim as ops
from perception.nn.sparse_tensor import SparseTensor


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
        """Convolve; the result is on `output_level(tensor.stride)`."""
        return self.convolve(tensor)

    def convolve(
        self, tensor: SparseTensor, bias: Tensor | None = None, residual: Tensor | None = None, relu: bool = False
    ) -> SparseTensor:
        """Convolve, then add the bias [C_out] and the residual [N_out, C_out], then rectify, in one operation."""
        level = self.output_level(tensor.stride)
        features = self._operation(tensor, level)(self.kernel, bias, residual, relu)
        return SparseTensor(features, tensor.tables, level)

    def _operation(self, tensor: SparseTensor, level: int) -> Callable[..., Tensor]:
        if self.kernel_size == 3:
            return partial(ops.sparse_convolution, tensor.features, tensor.tables.submanifold(level))
        if self.transposed:
            return partial(ops.inverse_convolution, tensor.features, *tensor.tables.up(level))
        if self.kernel_size == 2:
            return partial(ops.sparse_convolution, tensor.features, tensor.tables.down(tensor.stride))
        return partial(_pointwise, tensor.features)


def _pointwise(features: Tensor, kernel: Tensor, bias: Tensor | None, residual: Tensor | None, relu: bool) -> Tensor:
    result = features @ kernel if bias is None else torch.addmm(bias, features, kernel)
    result = result if residual is None else result + residual
    return result.relu() if relu else result
