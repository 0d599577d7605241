"""From the maps of a detection head to boxes, natively: peaks, decoding, scores of queries.

Maps are float32 or float16, in the layout of the networks: [batch, channel, ...]. Boxes come out in the order of the
house: x, y, z of the geometric centre, length, width, height (m), yaw (rad, counter-clockwise seen from above), vx, vy
(m/s).
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from perception.ops import binding
from perception.ops.arrays import DTYPE_CODES, Array, address, as_array, common_place, empty, float_dtype, view

binding.declare(pk_heatmap_peaks="pippp", pk_decode_boxes="ppipppp", pk_query_scores="piiiippp")


class Peaks(NamedTuple):
    """The best cells of a heat map, best first.

    Attributes:
        scores: float32 [B, K].
        labels: int32 [B, K], the class (channel) of each.
        cells: int32 [B, K], y * width + x.
    """

    scores: Array
    labels: Array
    cells: Array


@dataclass(frozen=True)
class BoxCoding:
    """How a detection head writes boxes into its maps.

    x = cell_size_m[0] * column + origin_m[0] and y likewise; z of the centre = height map + raise_by_heights * the
    box's height; yaw = yaw_sign * atan2(sine, cosine) + yaw_offset_rad, wrapped to -pi..pi. Sizes are logarithms.

    Attributes:
        cell_size_m: size of a cell of the map, x and y.
        origin_m: where cell 0 begins, x and y.
        grid_width: the centre map is relative to the cell, on a map that is so wide; 0: it is absolute, in cells.
        raise_by_heights: see above.
        width_first: the size map is width, length, height, not length, width, height.
        yaw_sign: 1, or -1 for a yaw that grows clockwise seen from above.
        yaw_offset_rad: see above.
    """

    cell_size_m: tuple[float, float]
    origin_m: tuple[float, float]
    grid_width: int = 0
    raise_by_heights: float = 0.0
    width_first: bool = False
    yaw_sign: float = 1.0
    yaw_offset_rad: float = 0.0


class BoxMaps(NamedTuple):
    """The regression maps of a detection head, each [B, channels, ...] with as many cells.

    Attributes:
        center: 2 channels, x and y in cells.
        height: 1 channel, z in metres.
        size: 3 channels, natural logarithms of metres.
        rotation: 2 channels, sine and cosine.
        velocity: 2 channels in m/s; None where the head has none.
    """

    center: Any
    height: Any
    size: Any
    rotation: Any
    velocity: Any = None


class _Heatmap(ctypes.Structure):
    """pk_heatmap."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("values", "quality", "windows")),
        *((name, ctypes.c_int32) for name in ("dtype", "batches", "classes", "height", "width")),
        *((name, ctypes.c_int32) for name in ("sigmoid", "quality_power", "inner_only")),
    )


class _BoxMaps(ctypes.Structure):
    """pk_box_maps."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in BoxMaps._fields),
        ("cells", ctypes.c_int64),
        *((name, ctypes.c_int32) for name in ("batches", "dtype", "grid_width", "width_first")),
        *((name, ctypes.c_float * 2) for name in ("cell_size_m", "origin_m")),
        *((name, ctypes.c_float) for name in ("raise_by_heights", "yaw_sign", "yaw_offset_rad")),
    )


def heatmap_peaks(
    heatmap: Any,
    count: int,
    *,
    windows: int | Sequence[int] = 3,
    inner_only: bool = False,
    sigmoid: bool = True,
    quality: Any = None,
    quality_power: int = 2,
    threads: int | None = None,
) -> Peaks:
    """Find the best cells of a heat map over all classes.

    A cell is a peak if it equals the largest of the 3 x 3 cells around it (CenterPoint's and TransFusion's local
    maximum). Peaks are ranked by their score, without `quality` by their value, so that rounding of the sigmoid makes
    no ties; equal ones by class, then cell. Where there are fewer than `count`, other cells follow with score 0.

    Args:
        heatmap: float32 or float16 [B, classes, H, W], logits, or scores where `sigmoid` is False.
        count: K, at most classes * H * W.
        windows: 3, or 1 where every cell counts as a peak; one number, or one for each class.
        inner_only: windows of 3 find no peak in the outermost ring of cells, as in the official TransFusionHead.
        sigmoid: whether values are logits.
        quality: of the heat map's type, [B, H, W] or [B, 1, H, W]: a predicted IoU. The score is multiplied by
            clamp(quality, 0, 1) ** quality_power, as in FlatFormer's head.
        quality_power: 1 to 8.
        threads: CPU threads, all by default; the result does not depend on it.
    """
    heatmap, dtype = _as_map(heatmap, (None, None, None, None), "heatmap")
    batches, classes, height, width = heatmap.shape
    sizes = (windows,) * classes if isinstance(windows, int) else tuple(windows)
    if len(sizes) != classes:
        raise ValueError(f"windows must name a size for each of {classes} classes, found {len(sizes)}")
    if any(size not in (1, 3) for size in sizes):
        raise ValueError(f"windows must be 1 or 3 cells wide, found {list(sizes)}")
    if quality is not None:
        shape = (batches, height, width) if len(view(quality, "quality").shape) == 3 else (batches, 1, height, width)
        quality = as_array(quality, dtype, shape, "quality")
    wide = (ctypes.c_uint8 * classes)(*sizes)
    native = _Heatmap(address(heatmap), address(quality), ctypes.cast(wide, ctypes.c_void_p))
    native.dtype, native.sigmoid, native.inner_only = DTYPE_CODES[dtype], sigmoid, inner_only
    native.batches, native.classes, native.height, native.width = heatmap.shape
    native.quality_power = quality_power
    common_place("heatmap_peaks", [array for array in (heatmap, quality) if array is not None])
    peaks = Peaks(*(empty(heatmap, (batches, max(count, 0)), kind) for kind in (np.float32, np.int32, np.int32)))
    binding.call("pk_heatmap_peaks", ctypes.byref(native), count, *peaks, threads=threads)
    return peaks


def decode_boxes(maps: BoxMaps, coding: BoxCoding, cells: Any = None, threads: int | None = None) -> Array:
    """Read the boxes of some cells off a head's regression maps.

    Args:
        maps: float32 or float16, all of one type.
        coding: what the maps mean.
        cells: int32 [B, K], of `heatmap_peaks`; None: all cells in order (a head with queries). On a GPU a cell that
            does not exist gives a row of NaN; on the CPU it is an error.
        threads: CPU threads, all by default.

    Returns:
        float32 [B, K, 9] boxes; vx, vy are NaN where there is no velocity map.
    """
    return _decode(maps, coding, cells, None, None, threads)[0]


def decode_boxes_within(
    maps: BoxMaps,
    coding: BoxCoding,
    scores: Any,
    range_m: Sequence[float],
    cells: Any = None,
    threads: int | None = None,
) -> tuple[Array, Array]:
    """Read boxes as `decode_boxes`, and take the score from those whose centre is out of range.

    Args:
        maps: float32 or float16, all of one type.
        coding: what the maps mean.
        scores: float32 [B, K].
        range_m: smallest x, y, z and largest x, y, z of centres, all included.
        cells: int32 [B, K] or None, as in `decode_boxes`.
        threads: CPU threads, all by default.

    Returns:
        float32 [B, K, 9] boxes and float32 [B, K] scores, 0 where the centre lies outside the range.
    """
    if len(range_m) != 6:
        raise ValueError(f"range_m must be 6 numbers, found {len(range_m)}")
    return _decode(maps, coding, cells, scores, (ctypes.c_float * 6)(*range_m), threads)


def query_scores(logits: Any, peaks: Peaks, threads: int | None = None) -> Array:
    """Multiply the sigmoid of each query's logit for its class by its peak's score: TransFusion's score.

    Args:
        logits: float32 or float16 [B, classes, K], of the head's last layer.
        peaks: K queries, of `heatmap_peaks`.
        threads: CPU threads, all by default.

    Returns:
        float32 [B, K].
    """
    logits, dtype = _as_map(logits, (None, None, None), "logits")
    batches, classes, queries = logits.shape
    scores = as_array(peaks.scores, np.float32, (batches, queries), "scores")
    labels = as_array(peaks.labels, np.int32, (batches, queries), "labels")
    result = empty(logits, (batches, queries), np.float32)
    arguments = (logits, DTYPE_CODES[dtype], batches, classes, queries, labels, scores, result)
    binding.call("pk_query_scores", *arguments, threads=threads)
    return result


def _decode(
    maps: BoxMaps, coding: BoxCoding, cells: Any, scores: Any, range_m: Any, threads: int | None
) -> tuple[Array, Array]:
    native, arrays = _native_maps(maps, coding)
    batches, count = native.batches, native.cells
    if cells is not None:
        cells = as_array(cells, np.int32, (batches, None), "cells")
        count = cells.shape[1]
    boxes = empty(arrays[0], (batches, count, 9), np.float32)
    kept = None
    if scores is not None:
        scores = as_array(scores, np.float32, (batches, count), "scores")
        kept = empty(arrays[0], (batches, count), np.float32)
    common_place("decode_boxes", [*arrays, boxes] if cells is None else [*arrays, cells])
    arguments = (ctypes.byref(native), cells, count, range_m, scores, boxes, kept)
    binding.call("pk_decode_boxes", *arguments, threads=threads)
    return boxes, kept


def _native_maps(maps: BoxMaps, coding: BoxCoding) -> tuple[_BoxMaps, list[Array]]:
    center, dtype = _as_map(maps.center, None, "center")
    batches, spatial = center.shape[0], center.shape[2:]
    native = _BoxMaps(cells=int(np.prod(spatial)), batches=batches, dtype=DTYPE_CODES[dtype])
    arrays = []
    for name, channels in zip(BoxMaps._fields, (2, 1, 3, 2, 2), strict=True):
        value = getattr(maps, name)
        if value is None and name == "velocity":
            continue
        arrays.append(as_array(value, dtype, (batches, channels, *spatial), name))
        setattr(native, name, address(arrays[-1]))
    native.grid_width, native.width_first = coding.grid_width, coding.width_first
    native.cell_size_m[:], native.origin_m[:] = coding.cell_size_m, coding.origin_m
    native.raise_by_heights, native.yaw_sign = coding.raise_by_heights, coding.yaw_sign
    native.yaw_offset_rad = coding.yaw_offset_rad
    return native, arrays


def _as_map(value: Any, shape: tuple[int | None, ...] | None, name: str) -> tuple[Array, np.dtype[Any]]:
    """Check a map of either type; tell which."""
    dtype = float_dtype(value, name)
    array = view(value, name)
    return as_array(array, dtype, (None,) * len(array.shape) if shape is None else shape, name), dtype
