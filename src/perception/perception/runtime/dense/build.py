"""Building all engines of a bundle ahead, so that a robot does not start for minutes: what `--build-only` does."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from perception.bundle.loading import load_bundle
from perception.runtime.dense.engines import EngineOptions, load_on_gpu
from perception.runtime.dense.onnx_file import check_network
from perception.runtime.dense.sizes import region_sizes


@dataclass(frozen=True)
class ReadyRegion:
    """A dense region whose engine is ready.

    Attributes:
        file: the ONNX file.
        seconds: how long it took; next to nothing where the engine was in the cache.
    """

    file: str
    seconds: float


def build_only(folder: Path, device: str = "cuda", options: EngineOptions | None = None) -> list[ReadyRegion]:
    """Build the engine of every dense region of a bundle, and load it once to see that it can be used.

    Args:
        folder: the bundle.
        device: "cuda" or "cuda:N".
        options: how to build; sizes that are not given are those of the bundle.

    Raises:
        ConfigurationError: a damaged bundle, no such GPU, no TensorRT, or a region that cannot be built.
        BuildStoppedError: `options.stop` was set.
    """
    bundle = load_bundle(folder)
    ready = []
    for file in dict.fromkeys(bundle.graph.regions()):
        begin_s = time.monotonic()
        check_network(bundle.contents[file], folder / file)
        load_on_gpu(folder / file, bundle.contents[file], device, options, region_sizes(bundle)).close()
        ready.append(ReadyRegion(file, time.monotonic() - begin_s))
    return ready
