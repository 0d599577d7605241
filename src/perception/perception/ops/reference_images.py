"""What decoding and resizing images means, in plain PyTorch: slow and short."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

# Where red lies in the first two rows and columns of a Bayer pattern.
_RED = {"bayer_rggb8": (0, 0), "bayer_bggr8": (1, 1), "bayer_gbrg8": (1, 0), "bayer_grbg8": (0, 1)}


def decode(rows: Tensor, encoding: str, width: int) -> Tensor:
    """Decode uint8 rows [height, step] of sensor_msgs/Image to R, G, B: int64 [height, width, 3]."""
    values = rows.long()
    if encoding in ("rgb8", "bgr8", "rgba8", "bgra8"):
        channels = len(encoding) - 1
        pixels = values[:, : channels * width].reshape(len(rows), width, channels)[:, :, :3]
        return pixels.flip(2) if encoding.startswith("bgr") else pixels
    if encoding == "mono8":
        return values[:, :width].unsqueeze(2).repeat(1, 1, 3)
    if encoding in _RED:
        return _bilinear_bayer(values[:, :width], *_RED[encoding])
    first, second = values[:, : 2 * width].reshape(len(rows), width, 2).unbind(2)
    luma, chroma = (second, first) if encoding == "yuv422" else (first, second)
    return _rgb_of_yuv(luma, chroma[:, 0::2].repeat_interleave(2, 1), chroma[:, 1::2].repeat_interleave(2, 1))


def resize(pixels: Tensor, resized_size: tuple[int, int], method: str) -> Tensor:
    """Resize int64 [height, width, 3] with antialiasing as Pillow does: columns, then rows, rounded after each."""
    for dimension in (1, 0):
        weights = _weights(pixels.shape[dimension], resized_size[dimension], method)
        sums = torch.tensordot(weights, pixels, ([1], [dimension])).movedim(0, dimension)
        pixels = ((sums + 2**21) >> 22).clamp(0, 255)
    return pixels


def normalize(pixels: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """Scale [height, width, 3] to (value / 255 - mean) / std: float64 [3, height, width]."""
    scaled = (pixels.double() / 255 - torch.tensor(mean, dtype=torch.float64)) / torch.tensor(std, dtype=torch.float64)
    return scaled.permute(2, 0, 1)


def _rgb_of_yuv(y: Tensor, u: Tensor, v: Tensor) -> Tensor:
    """BT.601 with coefficients of 20 bits after the binary point."""
    one = 2**20
    luma = round(1.164 * one) * (y - 16).clamp(min=0)
    u, v = u - 128, v - 128
    red = luma + round(1.596 * one) * v
    green = luma - round(0.391 * one) * u - round(0.813 * one) * v
    blue = luma + round(2.018 * one) * u
    return ((torch.stack([red, green, blue], 2) + one // 2) >> 20).clamp(0, 255)


def _bilinear_bayer(values: Tensor, red_row: int, red_column: int) -> Tensor:
    """Give each pixel the rounded mean of the nearest pixels of each colour, 1, 2 or 4 of them."""
    height, width = values.shape
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    on_red_row, on_red_column = (y % 2) == red_row, (x % 2) == red_column
    masks = on_red_row & on_red_column, on_red_row ^ on_red_column, ~on_red_row & ~on_red_column
    return torch.stack([_nearest_mean(values, mask) for mask in masks], 2)


def _nearest_mean(values: Tensor, mask: Tensor) -> Tensor:
    def around(image: Tensor, offsets: list[tuple[int, int]]) -> Tensor:
        padded = functional.pad(image.double()[None, None], (1, 1, 1, 1), mode="reflect")[0, 0].long()
        height, width = image.shape
        return torch.stack([padded[1 + dy : 1 + dy + height, 1 + dx : 1 + dx + width] for dy, dx in offsets]).sum(0)

    crossing, diagonal = [(-1, 0), (1, 0), (0, -1), (0, 1)], [(-1, -1), (-1, 1), (1, -1), (1, 1)]
    known = torch.where(mask, values, 0)
    result = known
    for offsets in (diagonal, crossing):  # pixels at a side come before those at a corner
        count = around(mask.long(), offsets)
        mean = (around(known, offsets) + count // 2) // count.clamp(min=1)
        result = torch.where(~mask & (count > 0), mean, result)
    return result


def _weights(source: int, resized: int, method: str) -> Tensor:
    """Weights [resized, source] times 2**22, one by one."""
    support = {"bilinear": 1.0, "bicubic": 2.0}[method]
    scale = source / resized
    widening = max(scale, 1.0)
    weights = torch.zeros(resized, source, dtype=torch.int64)
    for output in range(resized):
        centre = (output + 0.5) * scale
        first = max(0, int(centre - support * widening + 0.5))
        end = min(source, int(centre + support * widening + 0.5))
        values = [_kernel(abs((x - centre + 0.5) / widening), method) for x in range(first, end)]
        for x, value in enumerate(values, first):
            fixed = value / sum(values) * 2**22
            weights[output, x] = math.floor(fixed + 0.5) if fixed >= 0 else math.ceil(fixed - 0.5)
    return weights


def _kernel(x: float, method: str) -> float:
    if method == "bilinear":
        return max(0.0, 1 - x)
    if x < 1:
        return 1.5 * x**3 - 2.5 * x**2 + 1
    return -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2 if x < 2 else 0.0
