"""Choose how a GPU computes each sparse convolution by measuring what there is to choose from, once a kind of layer.

The grid search of TorchSparse (MLSys 2022, section 4.2: tolerance epsilon and threshold S of adaptive grouping), over
all dataflows and tiles. Choices are kept in a file for each device; deleting it is always safe.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from perception.ops import binding
from perception.ops.arrays import CPU, dtype_of, place_of
from perception.ops.convolution import sparse_convolution
from perception.ops.prepared import TILES, Dataflow, PreparedTable, Tuning

#: Runs a call until its time is known, and tells the milliseconds of one. On a GPU it must wait for the work (events).
Timer = Callable[[Callable[[], object]], float]

EPSILONS = (0.1, 0.3, 0.5, 1.0)
THRESHOLDS = (2048, 16384, 1 << 40)  # pairs; TorchSparse's S, the last one: all products shared
_REPEATS = 5


def wall_clock_ms(run: Callable[[], object]) -> float:
    """Time a call that returns when its work is done: the fastest of several runs after a first one."""
    run()
    times_s = []
    for _ in range(_REPEATS):
        begin_s = time.perf_counter()
        run()
        times_s.append(time.perf_counter() - begin_s)
    return 1e3 * min(times_s)


def candidates(output_channels: int) -> Iterator[Tuning]:
    """List the tunings that a layer of so many output channels may gain from."""
    tiles = [tile for tile in TILES if tile[1] < 2 * max(output_channels, 32)]
    for tile in tiles:
        for ordered in (True, False):
            yield Tuning(Dataflow.IMPLICIT_GEMM, tile, ordered)
    for tile in tiles:
        if tile in ((64, 32), (64, 64)):
            yield Tuning(Dataflow.FETCH_ON_DEMAND, tile)
    for tile in tiles:
        yield Tuning(Dataflow.GATHER_SCATTER, tile)
        for epsilon in EPSILONS:
            for threshold in THRESHOLDS:
                yield Tuning(Dataflow.GATHER_SCATTER, tile, epsilon=epsilon, threshold=threshold)


class ConvolutionTuner:
    """Finds the fastest tuning of each kind of layer on one device, and remembers it across runs.

    Layers are of one kind if they share channels, kernel volume and type, and their tables have the same number of
    rows up to a factor of two. (Rows rather than pairs: these are known without waiting for the GPU.)
    """

    def __init__(
        self, folder: str | Path, device_name: str, timer: Timer = wall_clock_ms, layers_per_table: int = 4
    ) -> None:
        """Read what was found before.

        Args:
            folder: where the choices are kept; made when there is something to keep.
            device_name: what tells one kind of GPU from another, such as its product name.
            timer: how calls are timed.
            layers_per_table: how many layers share what is prepared from a table, so that each bears a part of it.
        """
        self._identity = {"device": device_name, "interface": binding.INTERFACE_VERSION}
        slug = re.sub(r"[^A-Za-z0-9]+", "_", device_name).strip("_").lower()
        self.path = Path(folder) / f"convolution_{slug}_v{binding.INTERFACE_VERSION}.json"
        self._timer = timer
        self._layers_per_table = layers_per_table
        self._lock = threading.Lock()
        self._tunings = self._read()
        #: Whether kinds of layers that are not known yet are measured, which takes seconds: not while a robot drives.
        self.measures = True

    def tuning(self, features: Any, table: PreparedTable, weight: Any, transpose_weight: bool = False) -> Tuning:
        """Give the tuning of a layer; the first layer of a kind is measured with these very arrays.

        The arguments are those of `sparse_convolution`. On the CPU there is nothing to choose. While nothing is
        measured, a kind that is not known is tuned as that with the same layer and the nearest number of rows.
        """
        if place_of(table.table).device == CPU or len(table) == 0:
            return Tuning()
        key = self._key(table, weight, transpose_weight)
        with self._lock:
            if key not in self._tunings:
                if not self.measures:
                    return self._nearest(key)
                self._tunings[key] = self._fastest(features, table, weight, transpose_weight)
                self._write()
            return self._tunings[key]

    def _nearest(self, key: str) -> Tuning:
        layer, _, wanted = key.rpartition("^")
        known = [other for other in self._tunings if other.rpartition("^")[0] == layer]
        if not known:
            return Tuning()
        return self._tunings[min(known, key=lambda other: abs(int(other.rpartition("^")[2]) - int(wanted)))]

    def _key(self, table: PreparedTable, weight: Any, transposed: bool) -> str:
        volume, *channels = weight.shape
        inputs, outputs = reversed(channels) if transposed else channels
        kind = dtype_of(weight, "weight").name
        return f"{inputs}->{outputs} volume {volume} {kind} rows 2^{(len(table) - 1).bit_length()}"

    def _fastest(self, features: Any, table: PreparedTable, weight: Any, transposed: bool) -> Tuning:
        def cost_ms(tuning: Tuning) -> float:
            try:
                layer_ms = self._timer(
                    lambda: sparse_convolution(features, table, weight, transpose_weight=transposed, tuning=tuning)
                )
            except MemoryError:
                return float("inf")
            return layer_ms + prepare_ms(tuning) / self._layers_per_table

        known_ms: dict[str, float] = {}

        def prepare_ms(tuning: Tuning) -> float:
            needs = needed(tuning)
            if needs is None:
                return 0.0
            if needs not in known_ms:
                known_ms[needs] = self._timer(lambda: getattr(PreparedTable(table.table, table.input_count), needs))
            return known_ms[needs]

        outputs = weight.shape[1 if transposed else 2]
        return min(candidates(outputs), key=cost_ms)

    def _read(self) -> dict[str, Tuning]:
        try:
            contents = json.loads(self.path.read_text())
            if {name: contents[name] for name in self._identity} != self._identity:
                raise ValueError("of another device or version")
            return {str(key): _parse(value) for key, value in contents["tunings"].items()}
        except (FileNotFoundError, NotADirectoryError):
            return {}
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            warnings.warn(f"{self.path} is not used and will be written anew: {error!r}", stacklevel=3)
            return {}

    def _write(self) -> None:
        """Replace the file as a whole, with what other processes found meanwhile."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._tunings = self._read() | self._tunings
        tunings = {key: asdict(value) | {"dataflow": value.dataflow.name} for key, value in self._tunings.items()}
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile("w", dir=self.path.parent, suffix=".tmp", delete=False) as file:
                json.dump({**self._identity, "tunings": dict(sorted(tunings.items()))}, file, indent=1)
            os.replace(file.name, self.path)
        except OSError as error:
            warnings.warn(f"{self.path} cannot be written: {error}", stacklevel=4)


def needed(tuning: Tuning) -> str | None:
    """Name what a tuning wants prepared from a table: pairs, order or nothing."""
    if tuning.dataflow in (Dataflow.FETCH_ON_DEMAND, Dataflow.GATHER_SCATTER):
        return "pairs"
    return "order" if tuning.ordered else None


def _parse(value: dict[str, Any]) -> Tuning:
    tile = None if value["tile"] is None else tuple(value["tile"])
    if tile is not None and tile not in TILES:
        raise ValueError(f"there is no tile {tile}")
    return Tuning(
        Dataflow[value["dataflow"]],
        tile,
        bool(value["ordered"]),
        bool(value["tensor_cores"]),
        float(value["epsilon"]),
        int(value["threshold"]),
    )
