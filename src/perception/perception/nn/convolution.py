"""Sparse convolutions with the parameter layout of torchsparse, so that its checkpoints load unchanged."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from perception.nn.sparse_tensor import SparseTensor
from perception.nn.tables import Array


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
        """Convolve; the result is on `output_level(tensor.stride)`. Differentiable; half under autocast to float16."""
        tables, level = tensor.tables, self.output_level(tensor.stride)
        features, kernel = autocast(tensor.features), autocast(self.kernel)
        if self.kernel_size == 1:
            result = features @ kernel
        elif self.transposed:
            result = tables.backend.inverse_convolution(features, *tables.up(level), kernel)
        else:
            table, submanifold = self.table(tensor), self.kernel_size == 3
            result = tables.backend.sparse_convolution(features, table, kernel, submanifold=submanifold)
        return SparseTensor(result, tables, level)

    def table(self, tensor: SparseTensor) -> Array:
        """The neighbour table of this convolution (of size 2 or 3, not transposed) on the tensor's level."""
        tables, stride = tensor.tables, tensor.stride
        return tables.submanifold(stride) if self.kernel_size == 3 else tables.down(stride)


def autocast(values: Tensor) -> Tensor:
    """Round to float16 where torch.autocast asks for it; PyTorch does that for its own operations only."""
    device = values.device.type
    asked = torch.is_autocast_enabled(device) and torch.get_autocast_dtype(device) == torch.float16
    return values.half() if asked else values
