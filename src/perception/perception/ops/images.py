"""Camera images, as ROS carries them, to a network's input: decode, resize, crop and normalise in one native call."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from perception.ops import binding
from perception.ops.arrays import DTYPE_CODES, Array, address, as_array, common_place, empty, float_dtype

binding.declare(pk_image_resize="p")

#: Encodings of sensor_msgs/Image that are understood; colours: perception_kernels/image.h (pk_image_encoding).
ENCODINGS = (
    "rgb8",
    "bgr8",
    "rgba8",
    "bgra8",
    "mono8",
    "yuv422",
    "yuv422_yuy2",
    "bayer_rggb8",
    "bayer_bggr8",
    "bayer_gbrg8",
    "bayer_grbg8",
)
_WEIGHT_BITS = 22  # after the binary point, as in Pillow
_SUPPORT = {"bilinear": 1.0, "bicubic": 2.0}


class ResizeTables(NamedTuple):
    """How one geometry is resized and cropped; made once, used for every frame.

    Attributes:
        column_begins: int32 [width], the first source column of each output column.
        column_weights: int32 [width, taps], weights times 2**22.
        row_begins: int32 [height].
        row_weights: int32 [height, taps].
        source_size: height and width of the image.
        source_rows: first row and number of rows that are read.
    """

    column_begins: Array
    column_weights: Array
    row_begins: Array
    row_weights: Array
    source_size: tuple[int, int]
    source_rows: tuple[int, int]

    def place(self, convert: Callable[[Array], Array]) -> ResizeTables:
        """Give the tables with `convert` applied to every array, for example to copy them to a GPU."""
        names = ("column_begins", "column_weights", "row_begins", "row_weights")
        return self._replace(**{name: convert(getattr(self, name)) for name in names})


class _Axis(ctypes.Structure):
    _fields_ = (
        ("begins", ctypes.c_void_p),
        ("weights", ctypes.c_void_p),
        ("size", ctypes.c_int32),
        ("taps", ctypes.c_int32),
    )


class _Call(ctypes.Structure):
    _fields_ = (
        ("image", ctypes.c_void_p),
        ("step", ctypes.c_int64),
        *((name, ctypes.c_int32) for name in ("height", "width", "encoding", "first_row", "row_count")),
        ("columns", _Axis),
        ("rows", _Axis),
        ("scale", ctypes.c_float * 3),
        ("offset", ctypes.c_float * 3),
        *((name, ctypes.c_int32) for name in ("bgr", "channels_last", "dtype")),
        ("output", ctypes.c_void_p),
    )


def resize_tables(
    source_size: tuple[int, int],
    resized_size: tuple[int, int],
    crop: tuple[int, int, int, int] | None = None,
    method: str = "bicubic",
) -> ResizeTables:
    """Prepare resizing with antialiasing, bit for bit as Pillow's `Image.resize` then `crop`.

    Columns are resized first. Pillow 13 and later resize rows first where the height shrinks much more than the width;
    results then differ in a few grey levels.

    Args:
        source_size: height and width of the image.
        resized_size: height and width that the whole image would be resized to.
        crop: top, left, height and width of the part to keep; may reach beyond the image, which is black there.
        method: "bilinear" or "bicubic"; the filter widens with the scale where an image shrinks.

    Raises:
        ValueError: an unknown method, or a size below 1.
    """
    if method not in _SUPPORT:
        raise ValueError(f"method must be one of {', '.join(_SUPPORT)}, found {method!r}")
    top, left, height, width = crop or (0, 0, *resized_size)
    if min(*source_size, *resized_size, height, width) < 1:
        raise ValueError(f"all sizes must be at least 1, found {source_size}, {resized_size}, {(height, width)}")
    columns = _axis(source_size[1], resized_size[1], left, width, method)
    begins, weights = _axis(source_size[0], resized_size[0], top, height, method)
    first = int(begins.min())
    rows = int(begins.max()) + weights.shape[1] - first
    return ResizeTables(*columns, begins, weights, source_size, (first, rows))


def resize_normalize(
    image: Any,
    encoding: str,
    tables: ResizeTables,
    mean: Sequence[float] = (0.0, 0.0, 0.0),
    std: Sequence[float] = (1.0, 1.0, 1.0),
    *,
    bgr: bool = False,
    channels_last: bool = False,
    dtype: DTypeLike = np.float32,
    out: Any = None,
    threads: int | None = None,
) -> Array:
    """Decode, resize, crop and normalise an image: (value / 255 - mean) / std, [3, height, width].

    Args:
        image: uint8, the bytes of sensor_msgs/Image.data in any shape: rows of equal length (`step` bytes, which may be
            more than the pixels take).
        encoding: one of `ENCODINGS`; bilinear for Bayer patterns, BT.601 (16..235) for YUV, as OpenCV has it.
        tables: from `resize_tables`, in the same place as the image.
        mean: of the output channels, in units of the largest value.
        std: of the output channels.
        bgr: output channels are B, G, R instead of R, G, B.
        channels_last: [height, width, 3] instead.
        dtype: float32 or float16.
        out: array of the result's shape and type to write to, for example one camera's part of a batch.
        threads: CPU threads, all by default; the result does not depend on it.
    """
    if encoding not in ENCODINGS:
        raise ValueError(f"the encoding must be one of {', '.join(ENCODINGS)}, found {encoding!r}")
    image = as_array(image, np.uint8, (None,) * max(len(image.shape), 1), "image")
    height, _ = tables.source_size
    size, step = math.prod(image.shape), math.prod(image.shape) // height
    if size != step * height:
        raise ValueError(f"image must have {height} rows of equal length, found {size} bytes")
    axes = _axes(tables)
    shape = (*(len(begins) for begins, _ in axes), 3) if channels_last else (3, *(len(begins) for begins, _ in axes))
    output = empty(image, shape, dtype) if out is None else as_array(out, dtype, shape, "out")
    call = _Call(address(image), step, *tables.source_size, ENCODINGS.index(encoding), *tables.source_rows)
    call.rows, call.columns = (_Axis(address(begins), address(values), *values.shape) for begins, values in axes)
    call.scale, call.offset = _normalization(mean, std)
    call.bgr, call.channels_last, call.dtype = bgr, channels_last, DTYPE_CODES[float_dtype(output, "dtype")]
    call.output = address(output)
    common_place("image resize", [image, output, *tables[:4]])
    binding.call("pk_image_resize", ctypes.byref(call), threads=threads, on=image)
    return output


def _axis(source: int, resized: int, begin: int, size: int, method: str) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Give the first source element of `size` outputs from `begin` on, and the weights of it and the next ones."""
    scale = source / resized
    widening = max(scale, 1.0)
    outputs = begin + np.arange(size)
    centres = (outputs + 0.5) * scale
    reach = _SUPPORT[method] * widening
    first = np.clip(np.trunc(centres - reach + 0.5), 0, source).astype(np.int64)
    end = np.clip(np.trunc(centres + reach + 0.5), 0, source).astype(np.int64)
    inside = (outputs >= 0) & (outputs < resized)
    taps = max(1, int((end - first)[inside].max(initial=1)))
    begins = np.minimum(first, source - taps)
    elements = begins[:, None] + np.arange(taps)
    used = (elements >= first[:, None]) & (elements < end[:, None]) & inside[:, None]
    weights = np.where(used, _filter((elements - centres[:, None] + 0.5) * (1.0 / widening), method), 0.0)
    total = np.cumsum(weights, 1)[:, -1:]  # in order, as Pillow adds: the last bit may decide a rounding
    weights = weights / np.where(total == 0, 1.0, total)
    fixed = np.trunc(weights * 2**_WEIGHT_BITS + np.copysign(0.5, weights))
    return begins.astype(np.int32), fixed.astype(np.int32)


def _filter(distance: NDArray[np.float64], method: str) -> NDArray[np.float64]:
    x = np.abs(distance)
    if method == "bilinear":
        return np.maximum(1.0 - x, 0.0)
    sharpness = -0.5  # of the cubic convolution (Keys, 1981)
    near = ((sharpness + 2.0) * x - (sharpness + 3.0)) * x * x + 1.0
    far = (((x - 5.0) * x + 8.0) * x - 4.0) * sharpness
    return np.where(x < 1.0, near, np.where(x < 2.0, far, 0.0))


def _axes(tables: ResizeTables) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    """Check the tables' arrays: begins and weights of rows, then of columns."""
    rows = as_array(tables.row_weights, np.int32, (None, None), "row_weights")
    columns = as_array(tables.column_weights, np.int32, (None, None), "column_weights")
    return (
        (as_array(tables.row_begins, np.int32, (len(rows),), "row_begins"), rows),
        (as_array(tables.column_begins, np.int32, (len(columns),), "column_begins"), columns),
    )


def _normalization(mean: Sequence[float], std: Sequence[float]) -> tuple[Any, Any]:
    if len(mean) != 3 or len(std) != 3 or not all(value > 0 for value in std):
        raise ValueError(f"mean and std must be three numbers each, std positive; found {mean}, {std}")
    three = ctypes.c_float * 3
    return (
        three(*(1.0 / (255.0 * deviation) for deviation in std)),
        three(*(-average / deviation for average, deviation in zip(mean, std, strict=True))),
    )
