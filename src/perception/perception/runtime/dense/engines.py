"""From an ONNX file to its engine on this machine: the network in the wanted precision, from the cache or built."""

from __future__ import annotations

import hashlib
import json
import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import NamedTuple, TypeVar

from perception.configuration import ConfigurationError
from perception.runtime.dense.engine_cache import EngineCache, EngineKey, EngineLoadError
from perception.runtime.dense.file_cache import FileCache, default_folder
from perception.runtime.dense.quantization import has_quantizable_layers, quantize
from perception.runtime.dense.ranges import RangeTable, find_table
from perception.runtime.dense.settings import EngineSettings, SizeRange, machine_settings, stated_sizes
from perception.runtime.dense.tensorrt_build import build_engine
from perception.runtime.dense.tensorrt_module import TensorRt, find_tensorrt
from perception.runtime.dense.tensorrt_region import TensorRtRegion
from perception.runtime.device import gpu_index, open_device

logger = logging.getLogger(__name__)
Loaded = TypeVar("Loaded")


@cache
def _shared_cache(folder: Path) -> EngineCache:
    """One cache a folder, so that what is wrong with it is said once."""
    return EngineCache(FileCache(folder))


@dataclass(frozen=True)
class EngineOptions:
    """What belongs to building engines besides the network.

    Attributes:
        settings: precision, sizes and so on; by default those of this machine.
        cache: where engines are kept; by default in the user's cache folder.
        ranges: for int8; None: the table beside the network, or the latest calibration of this machine.
        stop: ends a build early where this is set.
    """

    settings: EngineSettings = field(default_factory=machine_settings)
    cache: EngineCache = field(default_factory=lambda: _shared_cache(default_folder()))
    ranges: RangeTable | None = None
    stop: threading.Event | None = None


class _Prepared(NamedTuple):
    """What an engine is built of.

    Attributes:
        network: contents of an ONNX file.
        calibration_sha256: of the ranges in it.
    """

    network: bytes
    calibration_sha256: str = ""


def load_on_gpu(
    path: Path,
    network: bytes,
    device: str,
    options: EngineOptions | None = None,
    sizes: Mapping[str, SizeRange] | None = None,
) -> TensorRtRegion:
    """Load a dense region on a GPU, and build its engine first where that was not done yet.

    Args:
        path: the ONNX file, for its name and the table of ranges beside it.
        network: its contents.
        device: "cuda" or "cuda:N".
        options: how to build.
        sizes: ranges of named sizes that neither the options nor the file's metadata give.

    Raises:
        ConfigurationError: no such GPU, no TensorRT, or a network that cannot be built or loaded.
        BuildStoppedError: `options.stop` was set.
    """
    options = options or EngineOptions()
    tensorrt = find_tensorrt()
    gpu = describe_gpu(device)
    sizes = {**(sizes or {}), **stated_sizes(network, path), **options.settings.sizes}
    options = replace(options, settings=options.settings.model_copy(update={"sizes": sizes}))

    def load(engine: bytes) -> TensorRtRegion:
        return TensorRtRegion(tensorrt, engine, path.name)

    try:
        return obtain_engine(path, network, gpu, tensorrt, options, load)
    except EngineLoadError as error:
        raise ConfigurationError(f"{path}: its engine cannot be used on {gpu}: {error}") from None


def obtain_engine(
    path: Path,
    network: bytes,
    gpu: str,
    tensorrt: TensorRt,
    options: EngineOptions,
    load: Callable[[bytes], Loaded],
) -> Loaded:
    """Take an engine from the cache, or build it; and load it. Errors are those of `load_on_gpu` and of `load`."""
    prepared = _prepare(path, network, options)
    settings = options.settings
    key = EngineKey(
        network_sha256=hashlib.sha256(network).hexdigest(),
        gpu=gpu,
        tensorrt=f"{tensorrt.name} {tensorrt.version}",
        settings=json.dumps(settings.model_dump(mode="json"), sort_keys=True),
        calibration_sha256=prepared.calibration_sha256,
    )
    files = options.cache.files
    times = f"{hashlib.sha256(f'{key.gpu} {key.tensorrt}'.encode()).hexdigest()[:16]}.times"

    def build() -> bytes:
        built = build_engine(tensorrt, prepared.network, path, settings, files.read(times) or b"", options.stop)
        logger.info(
            "built the engine of %s in %.1f s: %d layers, %.1f MiB",
            path.name,
            built.build_s,
            built.layers,
            len(built.engine) / (1 << 20),
        )
        if built.timing_cache:
            files.write(times, built.timing_cache)
        return built.engine

    return options.cache.obtain(key, path.stem, build, load, options.stop)


def describe_gpu(device: str) -> str:
    """Open a GPU and tell its architecture, name and memory: modules of one name differ in the number of their cores.

    Raises:
        ConfigurationError: there is no such GPU.
    """
    index = gpu_index(device)
    if index is None:
        raise ConfigurationError(f"device '{device}': engines are built for a GPU; use cuda")
    driver = open_device(index).driver
    driver.make_current()
    properties = driver.properties
    major, minor = properties.compute_capability
    return f"sm_{major}{minor} {properties.name} {round(properties.total_bytes / (1 << 30))} GiB"


def _prepare(path: Path, network: bytes, options: EngineOptions) -> _Prepared:
    """Write the ranges for int8 into the network."""
    if options.settings.precision == "int8" and has_quantizable_layers(network):
        table = options.ranges or find_table(path, network, options.cache.files)
        return _Prepared(quantize(network, table, path), hashlib.sha256(table.to_json()).hexdigest())
    return _Prepared(network)
