"""CUDA graphs: work of fixed shapes is captured once and launched as a whole from then on, by one call of the CPU."""

from __future__ import annotations

import contextlib
import warnings
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Mapping

from perception.ops import arrays
from perception.ops.arrays import Array
from perception.runtime.dense.region import DenseRegion, TensorSpec
from perception.runtime.device.driver import DriverError, Handle
from perception.runtime.device.streams import Streams

#: Buffers take turns, so a region has more than one set of addresses; one that has many gains nothing from graphs.
MOST_GRAPHS = 4
MOST_REMEMBERED = 16


class CapturedWork:
    """Work that is queued again and again, with the same arrays most of the time.

    The first time with certain arrays it is queued as it is, for libraries make what they need then; the second time it
    is captured. Where that fails it is queued as it is for good, with one warning.

    Args:
        streams: of the engine.
        name: of the work, for the warning.
    """

    def __init__(self, streams: Streams, name: str) -> None:
        self._streams = streams
        self._name = name
        self._graphs: OrderedDict[Hashable, Handle] = OrderedDict()
        self._seen: OrderedDict[Hashable, None] = OrderedDict()
        self._captures = streams.driver.properties.graphs

    def run(self, work: Callable[[], object], given: Iterable[Array]) -> None:
        """Queue the work on the current stream.

        Args:
            work: queues it, without allocating memory and without waiting for the GPU; always the same but for the
                arrays.
            given: every array that the work reads or writes and that may be another one the next time. Whatever else
                it uses must live as long as this object.
        """
        if not self._captures:
            work()
            return
        key = tuple(_key(array) for array in given)
        if key in self._graphs:
            self._graphs.move_to_end(key)
        elif key not in self._seen or not self._capture(key, work):
            self._remember(key)
            work()
            return
        self._streams.driver.launch_graph(self._graphs[key], self._streams.current)

    def close(self) -> None:
        """Give the graphs back."""
        while self._graphs:
            self._streams.driver.destroy_graph(self._graphs.popitem()[1])

    def _remember(self, key: Hashable) -> None:
        self._seen[key] = None
        while len(self._seen) > MOST_REMEMBERED:
            self._seen.popitem(last=False)

    def _capture(self, key: Hashable, work: Callable[[], object]) -> bool:
        driver, stream = self._streams.driver, self._streams.current
        try:
            with self._streams.device.pool.held():
                driver.begin_capture(stream)
                graph = self._collect(work, stream)
        except (RuntimeError, ValueError, MemoryError) as error:  # as drivers, kernels and TensorRT report it
            warnings.warn(f"{self._name} runs without a CUDA graph: {error}", stacklevel=4)
            self._captures = False
            self.close()
            return False
        while len(self._graphs) >= MOST_GRAPHS:
            driver.destroy_graph(self._graphs.popitem(last=False)[1])
        self._graphs[key] = graph
        return True

    def _collect(self, work: Callable[[], object], stream: Handle) -> Handle:
        """Queue the work while it is captured; the capture ends whatever happens."""
        driver = self._streams.driver
        self._streams.capturing = True
        try:
            work()
        except BaseException:
            with contextlib.suppress(DriverError):  # what the work failed with says more
                driver.destroy_graph(driver.end_capture(stream))
            raise
        finally:
            self._streams.capturing = False
        return driver.end_capture(stream)


class GraphedRegion:
    """A dense region of fixed shapes on a GPU, launched as a graph; see `DenseRegion`."""

    def __init__(self, streams: Streams, region: DenseRegion, name: str) -> None:
        self.inputs: Mapping[str, TensorSpec] = region.inputs
        self.outputs: Mapping[str, TensorSpec] = region.outputs
        self._region = region
        self._work = CapturedWork(streams, name)

    def run(self, inputs: Mapping[str, Array], out: Mapping[str, Array] | None = None) -> dict[str, Array]:
        """Queue the network once; as `DenseRegion.run`."""
        like = next(iter(inputs.values()))
        results = dict(out or {})
        for name, spec in self.outputs.items():
            if name not in results:
                results[name] = arrays.empty(like, [size or 0 for size in spec.shape], spec.dtype)
        self._work.run(lambda: self._region.run(inputs, results), [*inputs.values(), *results.values()])
        return results

    def close(self) -> None:
        """Free the graphs and the region."""
        self._work.close()
        self._region.close()


def with_graphs(streams: Streams, region: DenseRegion, name: str) -> DenseRegion:
    """Launch a region as a graph if all its shapes are fixed; else it stays as it is."""
    sizes = [size for spec in (*region.inputs.values(), *region.outputs.values()) for size in spec.shape]
    fixed = streams.driver.properties.graphs and None not in sizes
    return GraphedRegion(streams, region, name) if fixed else region


def _key(array: Array) -> Hashable:
    """What a captured graph knows of an array."""
    interface = array.__cuda_array_interface__
    return interface["data"][0], interface["shape"], interface["typestr"]
