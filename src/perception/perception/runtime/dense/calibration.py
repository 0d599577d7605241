"""Measuring the ranges that a network is quantised with, on what it is given in practice."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from perception.configuration import ConfigurationError
from perception.ops.arrays import Array
from perception.runtime.dense.file_cache import FileCache
from perception.runtime.dense.histogram import Histogram
from perception.runtime.dense.onnx_file import read_network
from perception.runtime.dense.onnx_runtime import OnnxRuntimeRegion
from perception.runtime.dense.quantization import import_onnx, quantizable_layers
from perception.runtime.dense.ranges import Method, RangeTable, read_table
from perception.runtime.dense.region import DenseRegion

logger = logging.getLogger(__name__)
SMALLEST_LIMIT = 1e-6


def calibrate(
    path: Path,
    batches: Iterable[Mapping[str, Array]],
    method: Method = "least_error",
    percentile: float = 99.99,
    files: FileCache | None = None,
    threads: int = 1,
) -> RangeTable:
    """Choose the ranges of a network's activations; what was measured with the same data before is read again.

    Args:
        path: the ONNX file, with float32 layers.
        batches: inputs of the network by name, on the CPU; gone through twice, so no generator.
        method: "least_error" squared, "entropy" (least information lost), "percentile" (as many values inside), or
            "maximum" (all inside).
        percentile: for the method of that name, how many percent of all values to keep inside.
        files: where tables are kept.
        threads: threads of the CPU to use.

    Raises:
        ConfigurationError: a network without layers for int8, or no data.
    """
    network = read_network(path)
    table = RangeTable(
        network_sha256=hashlib.sha256(network).hexdigest(),
        method=method,
        percentile=percentile if method == "percentile" else None,
        data_sha256=_checksum(batches, path),
        limits={},
    )
    files = files or FileCache()
    known = _kept(files, table)
    if known is not None:
        return known
    histograms = _measure(network, path, batches, threads)
    limits = {name: max(_limit(histogram, table), SMALLEST_LIMIT) for name, histogram in histograms.items()}
    table = table.model_copy(update={"limits": limits})
    files.write(table.file_name(), table.to_json())
    return table


class RecordingRegion:
    """A dense region that keeps copies of its inputs, to calibrate with what a bag's clouds give it; see `DenseRegion`.

    When the limit is reached every second kept call is dropped, and from then on every second one is kept, and so on:
    what is kept is always spread evenly over all calls.

    Args:
        region: does the work.
        limit_bytes: no more is kept than this, but for the first call.

    Attributes:
        batches: the inputs of the kept calls, in order.
    """

    def __init__(self, region: DenseRegion, limit_bytes: int = 256 << 20) -> None:
        self._region = region
        self._limit_bytes = limit_bytes
        self._calls, self._step = 0, 1
        self.inputs, self.outputs = region.inputs, region.outputs
        self.batches: list[dict[str, Array]] = []

    def run(self, inputs: Mapping[str, Array], out: Mapping[str, Array] | None = None) -> dict[str, Array]:
        """Run the region, and keep the inputs of an even sample of the calls."""
        if self._calls % self._step == 0:
            self.batches.append({name: np.array(array) for name, array in inputs.items()})
            while len(self.batches) > 1 and self._kept_bytes() > self._limit_bytes:
                self.batches, self._step = self.batches[::2], self._step * 2
        self._calls += 1
        return self._region.run(inputs, out)

    def close(self) -> None:
        """Free the region; what was kept stays."""
        self._region.close()

    def _kept_bytes(self) -> int:
        return sum(array.nbytes for batch in self.batches for array in batch.values())


def _measure(network: bytes, path: Path, batches: Iterable[Mapping[str, Array]], threads: int) -> dict[str, Histogram]:
    """Run the network on the data, and collect what its layers are given."""
    onnx = import_onnx()
    model = onnx.load_from_string(network)
    names = list(dict.fromkeys(layer.activation for layer in quantizable_layers(model)))
    if not names:
        raise ConfigurationError(f"{path}: holds no float32 convolution or matrix product to compute in int8")
    shown = {value.name for value in [*model.graph.output, *model.graph.input]}
    make, float32 = onnx.helper.make_tensor_value_info, onnx.TensorProto.FLOAT
    model.graph.output.extend(make(name, float32, None) for name in names if name not in shown)
    region = OnnxRuntimeRegion(path, threads, network=model.SerializeToString())
    histograms = {name: Histogram() for name in names}
    for batch in batches:
        values: dict[str, Any] = {**batch, **region.run(batch)}
        for name, histogram in histograms.items():
            histogram.add(values[name])
    region.close()
    return histograms


def _limit(histogram: Histogram, table: RangeTable) -> float:
    if table.method == "entropy":
        return histogram.entropy()
    if table.method == "least_error":
        return histogram.least_error()
    return histogram.percentile(100 if table.percentile is None else table.percentile)


def _checksum(batches: Iterable[Mapping[str, Array]], path: Path) -> str:
    """Of all arrays, with their names, types and shapes."""
    digest, count = hashlib.sha256(), 0
    for batch in batches:
        count += 1
        for name in sorted(batch):
            array = np.ascontiguousarray(batch[name])
            digest.update(f"{name} {array.dtype} {array.shape}\n".encode())
            digest.update(array.data)
    if not count:
        raise ConfigurationError(f"{path}: there is nothing to calibrate with; give at least one frame")
    return digest.hexdigest()


def _kept(files: FileCache, table: RangeTable) -> RangeTable | None:
    content = files.read(table.file_name())
    if content is None:
        return None
    try:
        return read_table(content, files.folder / table.file_name(), table.network_sha256)
    except ConfigurationError as error:
        logger.warning("%s", error)
        return None
