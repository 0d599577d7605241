"""What can be prepared once a table, and the choice of how a GPU computes a convolution with it."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from perception.ops import binding
from perception.ops.arrays import Array, address, as_array, empty

PAIR_TILE = 64  # PK_PAIR_TILE of prepared_convolution.h
TILES = ((64, 32), (64, 64), (64, 96), (128, 128))  # rows and columns of a product that the kernels exist for

binding.declare(
    pk_count_pairs="plilpp",
    pk_list_pairs="plilplpp",
    pk_order_rows="plilp",
    pk_prepared_convolution="ppp",
)


class Dataflow(IntEnum):
    """How a GPU computes a sparse convolution (pk_dataflow)."""

    BY_RULE = 0
    IMPLICIT_GEMM = 1
    FETCH_ON_DEMAND = 2
    GATHER_SCATTER = 3


@dataclass(frozen=True)
class Tuning:
    """How a GPU computes a layer; the result is the same up to the order of sums. The CPU pays no attention.

    Attributes:
        dataflow: which way the data goes.
        tile: rows and columns of the matrix products, one of TILES; None by rule.
        ordered: implicit GEMM: order the rows by the weights that they use, once a table.
        tensor_cores: use them for float16 where there are any.
        epsilon: gather-scatter: the share of a shared product that may be wasted, 0..1.
        threshold: gather-scatter: weights with as many pairs have a product of their own.
    """

    dataflow: Dataflow = Dataflow.BY_RULE
    tile: tuple[int, int] | None = None
    ordered: bool = True
    tensor_cores: bool = True
    epsilon: float = 0.0
    threshold: int = 0

    @property
    def native(self) -> ctypes.Structure:
        """The same as pk_convolution_tuning."""
        rows, columns = self.tile or (0, 0)
        return _NativeTuning(self.dataflow, rows, columns, int(self.tensor_cores), self.epsilon, self.threshold)


class Pairs(NamedTuple):
    """Which input rows meet which output rows, weight by weight.

    Attributes:
        begins: int32 [K * tiles + 1], where the pairs of a weight and a tile of PAIR_TILE output rows begin.
        inputs: int32 [P], ordered by weight, then by output row.
        outputs: int32 [P].
        counts: int64 [K], in CPU memory.
    """

    begins: Array
    inputs: Array
    outputs: Array
    counts: NDArray[np.int64]


class PreparedTable:
    """A table with what a GPU makes of it once, when it is first needed, for every layer that shares the table.

    Attributes:
        table: int32 [N_out, K], as `submanifold_table` gives it.
        input_count: N_in; all entries are below it.
    """

    def __init__(self, table: Any, input_count: int, threads: int | None = None) -> None:
        self.table = as_array(table, np.int32, (None, None), "table")
        self.input_count = input_count
        self._threads = threads

    def __len__(self) -> int:
        return len(self.table)

    @property
    def volume(self) -> int:
        """The number of weights, K."""
        return int(self.table.shape[1])

    @cached_property
    def pairs(self) -> Pairs:
        """The pairs of the table; waits for the GPU once."""
        tiles = -(-len(self) // PAIR_TILE)
        begins = empty(self.table, self.volume * tiles + 1, np.int32)
        counts = (ctypes.c_int64 * self.volume)()
        self._call("pk_count_pairs", begins, counts)
        total = sum(counts)
        inputs, outputs = (empty(self.table, total, np.int32) for _ in range(2))
        self._call("pk_list_pairs", begins, total, inputs, outputs)
        return Pairs(begins, inputs, outputs, np.array(counts, np.int64))

    @cached_property
    def order(self) -> Array:
        """The output rows, int32 [N_out], ordered by the set of weights that they use."""
        order = empty(self.table, len(self), np.int32)
        self._call("pk_order_rows", order)
        return order

    def native(self, tuning: Tuning) -> ctypes.Structure:
        """Give what the tuning needs as pk_prepared_table, valid as long as this object lives."""
        order = pairs = None
        if tuning.dataflow in (Dataflow.FETCH_ON_DEMAND, Dataflow.GATHER_SCATTER):
            pairs = self.pairs
        elif tuning.ordered and self.volume > 1:
            order = self.order
        return _NativeTable(address(self.table), address(order), *(address(array) for array in pairs or (None,) * 4))

    def _call(self, function: str, *arguments: Any) -> None:
        sizes = (len(self), self.volume, self.input_count)
        binding.call(function, self.table, *sizes, *arguments, threads=self._threads)


class _NativeTable(ctypes.Structure):
    _fields_ = tuple(
        (name, ctypes.c_void_p)
        for name in ("table", "order", "pair_begins", "pair_inputs", "pair_outputs", "pair_counts")
    )


class _NativeTuning(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_int32) for name in ("dataflow", "tile_rows", "tile_columns", "tensor_cores")),
        ("epsilon", ctypes.c_float),
        ("threshold", ctypes.c_int64),
    )
