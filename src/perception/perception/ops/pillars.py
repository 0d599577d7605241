"""Points as pillars, the cells of a bird's-eye view: finding, describing and reducing them, natively."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np

from perception.ops import binding
from perception.ops.arrays import Array, as_array, as_features, empty, output

binding.declare(
    pk_pillars="plipippppppp",
    pk_pillar_features="plippppllp",
    pk_segment_reduce="pliiplip",
    pk_pillars_to_map="ppliiiiiip",
)


class _NativeGrid(ctypes.Structure):
    """How points fall into cells (pk_pillar_grid)."""

    _fields_ = (
        ("minimum_m", ctypes.c_float * 3),
        ("size_m", ctypes.c_float * 3),
        *((name, ctypes.c_int32) for name in ("height", "width", "clamp", "drop_first")),
    )


@dataclass(frozen=True)
class PillarGrid:
    """The cells that points fall into: x = floor((point x - minimum x) / size x) in float32, y likewise.

    Attributes:
        minimum_m: the lowest x, y and z of the grid, in metres.
        size_m: size of a cell along x, y and z, in metres; the grid is one cell high.
        height: cells along y.
        width: cells along x.
        clamp: points outside belong to the nearest cell, as in the official FlatFormer; else to none.
        drop_first: leave out the first occupied pillar of every batch element, with all its points. The official
            FlatFormer always does (its DynamicScatter takes that row for the one of invalid points), and its weights
            were trained so.
    """

    minimum_m: tuple[float, float, float]
    size_m: tuple[float, float, float]
    height: int
    width: int
    clamp: bool = False
    drop_first: bool = False

    def native(self) -> _NativeGrid:
        """Give the grid as the library takes it."""
        minimum, size = (ctypes.c_float * 3)(*self.minimum_m), (ctypes.c_float * 3)(*self.size_m)
        return _NativeGrid(minimum, size, self.height, self.width, self.clamp, self.drop_first)


class Pillars(NamedTuple):
    """Which points lie in which pillar; P pillars, K points that lie in one.

    Attributes:
        coords: int32 [P, 3], batch, y, x of each pillar, in this order.
        counts: pillars of each batch element.
        order: int32 [K], rows of points by pillar, ascending within each.
        begins: int32 [P + 1]; pillar p has the points order[begins[p]:begins[p + 1]].
        pillar: int32 [K], the pillar of each point of `order`.
    """

    coords: Array
    counts: tuple[int, ...]
    order: Array
    begins: Array
    pillar: Array


def find_pillars(
    points: Any, grid: PillarGrid, batch: Any = None, batches: int = 1, threads: int | None = None
) -> Pillars:
    """Find the pillars of a cloud and sort its points by pillar.

    Args:
        points: float32 [N, 3+], x, y, z in metres first. A point with NaN or infinity there belongs to no pillar.
        grid: the cells.
        batch: int32 [N] in 0..batches - 1, or None for one batch element; other values belong to no pillar.
        batches: how many batch elements there are.
        threads: CPU threads, all by default.

    Raises:
        ValueError: a bad grid, or more than 2^28 cells in all.
    """
    points = as_array(points, np.float32, (None, None), "points")
    rows = len(points)
    batch = None if batch is None else as_array(batch, np.int32, (rows,), "batch")
    coords, begins = empty(points, (rows, 3), np.int32), empty(points, rows + 1, np.int32)
    order, pillar = empty(points, rows, np.int32), empty(points, rows, np.int32)
    counts = (ctypes.c_int64 * max(batches, 0))()
    arguments = (points, rows, points.shape[1], batch, batches, ctypes.byref(grid.native()))
    kept = ctypes.c_int64()
    outputs = (coords, order, begins, pillar, counts, ctypes.byref(kept))
    binding.call("pk_pillars", *arguments, *outputs, threads=threads)
    found = sum(counts)
    return Pillars(coords[:found], tuple(counts), order[: kept.value], begins[: found + 1], pillar[: kept.value])


def pillar_features(
    points: Any, grid: PillarGrid, pillars: Pillars, threads: int | None = None, *, out: Any = None
) -> Array:
    """Describe every point by itself and its place in its pillar: float32 [K, C + 6], rows as in `pillars.order`.

    Columns: the C of the point, xyz less the mean xyz of the pillar, xyz less the centre of the pillar, as in the
    DynamicVFE of FlatFormer (11 columns from x, y, z, intensity, elongation). Metres.

    Args:
        points: float32 [N, C], the points that `pillars` was made from.
        grid: the cells that it was made with.
        pillars: from `find_pillars`.
        threads: CPU threads, all by default.
        out: where the result goes, float32 [K, C + 6]; a new array if None.

    Raises:
        ValueError: shapes or types that do not fit, an `out` that overlaps an input.
    """
    points = as_array(points, np.float32, (None, None), "points")
    coords = as_array(pillars.coords, np.int32, (None, 3), "coords")
    order = as_array(pillars.order, np.int32, (None,), "order")
    begins = as_array(pillars.begins, np.int32, (len(coords) + 1,), "begins")
    shape = (len(order), points.shape[1] + 6)
    features = output(out, points, shape, np.float32, (points, coords, order, begins))
    arguments = (points, *points.shape, ctypes.byref(grid.native()), coords, order, begins, len(coords), len(order))
    binding.call("pk_pillar_features", *arguments, features, threads=threads)
    return features


def segment_reduce(
    features: Any, begins: Any, kind: Literal["max", "mean"], threads: int | None = None, *, out: Any = None
) -> Array:
    """Reduce rows begins[s]:begins[s + 1] to one, for every s: [S, C]; 0 for segments without rows.

    Args:
        features: float32 or float16 [N, C], sorted by segment, as the rows of `pillar_features` are.
        begins: int32 [S + 1], ascending.
        kind: "max" or "mean".
        threads: CPU threads, all by default; the result does not depend on it.
        out: where the result goes, [S, C] of the type of the features; a new array if None.

    Raises:
        ValueError: begins that do not ascend or lie outside the rows (on a GPU such rows are left out), or an `out`
            that overlaps an input.
    """
    features, dtype, code = as_features(features, "features")
    begins = as_array(begins, np.int32, (None,), "begins")
    if len(begins) == 0:
        raise ValueError("begins must hold one more element than there are segments, found none")
    if kind not in ("max", "mean"):
        raise ValueError(f"kind must be max or mean, found {kind!r}")
    reduced = output(out, features, (len(begins) - 1, features.shape[1]), dtype, (features, begins))
    arguments = (features, *features.shape, code, begins, len(begins) - 1, int(kind == "mean"))
    binding.call("pk_segment_reduce", *arguments, reduced, threads=threads)
    return reduced


def pillars_to_map(
    features: Any,
    coords: Any,
    batches: int,
    size: Sequence[int],
    channels_last: bool = False,
    threads: int | None = None,
    *,
    out: Any = None,
) -> Array:
    """Lay the features of pillars out as a map: [B, C, H, W], or [B, H, W, C] with `channels_last`; zero elsewhere.

    Args:
        features: float32 or float16 [N, C].
        coords: int32 [N, 3], batch, y, x. A cell that occurs twice gets its last row.
        batches: B.
        size: H, W.
        channels_last: the layout.
        threads: CPU threads, all by default.
        out: where the result goes, of the type of the features; a new array if None.

    Raises:
        ValueError: a pillar outside the map (on a GPU it is left out), a map of more than 2^28 cells, or an `out` that
            overlaps an input.
    """
    features, dtype, code = as_features(features, "features")
    coords = as_array(coords, np.int32, (len(features), 3), "coords")
    height, width = size
    channels = features.shape[1]
    shape = (batches, height, width, channels) if channels_last else (batches, channels, height, width)
    if min(shape) < 0:
        raise ValueError(f"a map cannot have the shape {list(shape)}")
    result = output(out, features, shape, dtype, (features, coords))
    arguments = (features, coords, len(features), channels, code, batches, height, width, int(channels_last))
    binding.call("pk_pillars_to_map", *arguments, result, threads=threads)
    return result
