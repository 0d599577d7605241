"""Folding batch norm, ReLU and residual sums into the convolutions before them, for inference."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

from perception.nn.blocks import BatchNorm, ConvolutionBlock, ReLU, ResidualBlock
from perception.nn.convolution import Conv3d
from perception.nn.sparse_tensor import SparseTensor

Network = TypeVar("Network", bound=nn.Module)

DENSE = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


class FusedConv3d(nn.Module):
    """A convolution with the batch norm after it in its weights and bias, and with the ReLU after that."""

    def __init__(self, convolution: Conv3d, norm: BatchNorm, relu: bool) -> None:
        super().__init__()
        self.convolution = convolution
        self.relu = relu
        scale, shift = _scale_and_shift(norm)
        with torch.no_grad():
            self.convolution.kernel.mul_(scale)
        self.bias = nn.Parameter(shift, requires_grad=False)

    def forward(self, tensor: SparseTensor, residual: Tensor | None = None, relu: bool | None = None) -> SparseTensor:
        """Convolve, add the bias and the residual, rectify (if `relu`, by default as constructed)."""
        layer, tables, level = self.convolution, tensor.tables, self.convolution.output_level(tensor.stride)
        finish = (layer.kernel, self.bias, residual, self.relu if relu is None else relu)
        if layer.kernel_size == 1:
            result = _pointwise(tensor.features, *finish)
        elif layer.transposed:
            result = tables.backend.fused_inverse_convolution(tensor.features, *tables.up(level), *finish)
        else:
            result = tables.backend.fused_convolution(tensor.features, layer.table(tensor), *finish)
        return SparseTensor(result, tables, level)


class FusedResidualBlock(nn.Module):
    """A residual block in two or three operations."""

    def __init__(self, block: ResidualBlock) -> None:
        super().__init__()
        self.first, self.second = _fused_chain(block.net)
        self.shortcut = nn.Sequential(*_fused_chain(block.downsample))

    def forward(self, tensor: SparseTensor) -> SparseTensor:
        """Compute the block's output."""
        return self.second(self.first(tensor), residual=self.shortcut(tensor).features, relu=True)


def fuse(network: Network) -> Network:
    """Fuse every convolution of a network in place, and return it in evaluation mode.

    The result computes what the network computed in evaluation mode, to rounding, in fewer operations; it can be
    neither trained nor saved as a checkpoint.
    """
    network.eval()
    for name, child in network.named_children():
        if isinstance(child, ResidualBlock):
            setattr(network, name, FusedResidualBlock(child))
        elif isinstance(child, nn.Sequential) and any(
            isinstance(layer, (Conv3d, nn.Linear, *DENSE)) for layer in child
        ):
            setattr(network, name, nn.Sequential(*_fused_chain(child)))
        else:
            fuse(child)
    return network


def _layers(part: nn.Module) -> Iterator[nn.Module]:
    """The layers of a sequence, those of the blocks in it one by one."""
    if isinstance(part, nn.Sequential):
        for child in part:
            yield from _layers(child)
    elif isinstance(part, ConvolutionBlock):
        yield from part.net
    else:
        yield part


def _fused_chain(part: nn.Module) -> list[nn.Module]:
    """Fuse a sequence of convolution or linear layers, each with the norm and ReLU that follow it."""
    fused: list[nn.Module] = []
    layers = list(_layers(part))
    remaining = iter(enumerate(layers))
    for at, layer in remaining:
        following = [*islice(layers, at + 1, at + 3), None, None]
        if isinstance(layer, Conv3d) and isinstance(following[0], BatchNorm):
            relu = isinstance(following[1], ReLU)
            fused.append(FusedConv3d(layer, following[0], relu))
            next(remaining)
            if relu:
                next(remaining)
        elif isinstance(layer, nn.Linear) and isinstance(following[0], nn.BatchNorm1d):
            fused.append(fuse_linear_bn_eval(layer, following[0]))
            next(remaining)
        elif isinstance(layer, DENSE) and isinstance(following[0], nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d):
            fused.append(fuse_conv_bn_eval(layer, following[0]))
            next(remaining)
        else:
            fused.append(fuse(layer))
    return fused


def _pointwise(features: Tensor, kernel: Tensor, bias: Tensor, residual: Tensor | None, relu: bool) -> Tensor:
    result = torch.addmm(bias, features, kernel)
    result = result if residual is None else result + residual
    return result.relu() if relu else result


def _scale_and_shift(norm: BatchNorm) -> tuple[Tensor, Tensor]:
    """What a batch norm does in evaluation mode: ``scale * x + shift`` a channel."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    return scale.detach(), (norm.bias - norm.running_mean * scale).detach()
