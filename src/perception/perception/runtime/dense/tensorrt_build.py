"""Building a TensorRT engine from an ONNX network."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from perception.configuration import ConfigurationError
from perception.runtime.dense.half_precision import convert_to_half
from perception.runtime.dense.settings import EngineSettings, SizeRange, stated_sizes
from perception.runtime.dense.tensorrt_module import TensorRt, make_logger
from perception.runtime.dense.tensorrt_progress import BuildProgress, make_monitor

logger = logging.getLogger(__name__)


class BuildStoppedError(RuntimeError):
    """Somebody asked a build to stop."""


@dataclass(frozen=True)
class BuiltEngine:
    """A new engine.

    Attributes:
        engine: its serialised form.
        layers: how many the network had as TensorRT read it.
        skipped: what was asked for and could not be done, each with the reason.
        timing_cache: what was timed, for later builds on the same GPU; empty where nothing is.
        build_s: how long it took.
    """

    engine: bytes
    layers: int
    skipped: tuple[str, ...] = ()
    timing_cache: bytes = b""
    build_s: float = 0.0


def build_engine(
    tensorrt: TensorRt,
    network: bytes,
    path: Path,
    settings: EngineSettings | None = None,
    timing_cache: bytes = b"",
    stop: threading.Event | None = None,
) -> BuiltEngine:
    """Build an engine, for the GPU of this thread's context where there is one. Takes seconds to many minutes.

    Args:
        tensorrt: which one builds.
        network: contents of an ONNX file; for int8 with the quantised ranges inside.
        path: where it came from, for messages.
        settings: how; by default as the file says.
        timing_cache: what an earlier build timed on the same GPU.
        stop: ends the build early where this is set.

    Raises:
        ConfigurationError: TensorRT cannot read or build the network, or a size is missing.
        BuildStoppedError: `stop` was set.
    """
    begin_s = time.monotonic()
    build = _Build(tensorrt, path, settings or EngineSettings())
    definition = build.parse(build.in_precision(network))
    config = build.configure(definition, {**stated_sizes(network, path), **build.settings.sizes})
    times = build.use_timing_cache(config, timing_cache)
    monitor = build.report_progress(config, stop)
    plan = build.builder.build_serialized_network(definition, config)
    if monitor is not None and monitor.failure is not None:
        raise monitor.failure
    if plan is None and stop is not None and stop.is_set():
        raise BuildStoppedError(f"{path.name}: the build of its engine was stopped")
    if plan is None:
        raise ConfigurationError(f"{path}: {tensorrt} cannot build it ({build.messages.last_error()})")
    timed = b"" if times is None else bytes(times.serialize())
    elapsed_s = time.monotonic() - begin_s
    return BuiltEngine(bytes(plan), definition.num_layers, tuple(build.skipped), timed, elapsed_s)


def unsupported_operations(tensorrt: TensorRt, network: bytes) -> list[str]:
    """Tell which operations of an ONNX network TensorRT cannot parse, and why; none if it can be built."""
    build = _Build(tensorrt, Path("network"), EngineSettings())
    build.define(network)
    return build.refused


class _Build:
    """One build: the builder, and what is learnt on the way."""

    def __init__(self, tensorrt: TensorRt, path: Path, settings: EngineSettings) -> None:
        self.tensorrt, self.api, self.path, self.settings = tensorrt, tensorrt.api, path, settings
        self.messages = make_logger(self.api)
        self.builder = self.api.Builder(self.messages)
        self.skipped: list[str] = []
        self.refused: list[str] = []

    def in_precision(self, network: bytes) -> bytes:
        """Write half precision into the network where no flag asks for it; int8 is written in before."""
        to_half = self.settings.precision == "fp16" and self.tensorrt.lacks("precision flags")
        return convert_to_half(network) if to_half else network

    def define(self, network: bytes) -> Any:
        """Read the network; what cannot be read is in `refused`."""
        free_types = self.settings.precision != "exported" and not self.tensorrt.lacks("precision flags")
        definition = self.builder.create_network(self.tensorrt.network_flags(typed_by_file=not free_types))
        parser = self.api.OnnxParser(definition, self.messages)
        if not parser.parse(network):
            self.refused = [_in_words(parser.get_error(index)) for index in range(parser.num_errors)]
            self.refused = self.refused or [self.messages.last_error()]
        return definition

    def parse(self, network: bytes) -> Any:
        """Read the network, or say what it holds that TensorRT does not know."""
        definition = self.define(network)
        if self.refused:
            raise ConfigurationError(f"{self.path}: {self.tensorrt} cannot read it ({'; '.join(self.refused[:3])})")
        return definition

    def configure(self, definition: Any, sizes: Mapping[str, SizeRange]) -> Any:
        """Turn the settings into TensorRT's; what it lacks is skipped with the reason."""
        config = self.builder.create_builder_config()
        self._set_precision(config)
        fixed = self._set_profile(config, definition, sizes)
        if self.settings.dla_core is not None:
            self._use_dla(config, self.settings.dla_core, fixed)
        if self.settings.workspace_mib is not None:
            config.set_memory_pool_limit(self.api.MemoryPoolType.WORKSPACE, self.settings.workspace_mib << 20)
        if self.settings.effort is not None:
            config.builder_optimization_level = self.settings.effort
        return config

    def use_timing_cache(self, config: Any, content: bytes) -> Any:
        """Start from what was timed before; another version's or GPU's cache is left aside."""
        if self.tensorrt.lacks("timing cache"):
            return None
        cache = config.create_timing_cache(content)
        if cache is None or not config.set_timing_cache(cache, False):
            cache = config.create_timing_cache(b"")
            config.set_timing_cache(cache, False)
        return cache

    def report_progress(self, config: Any, stop: threading.Event | None) -> Any:
        """Tell the log how far the build is."""
        if reason := self.tensorrt.lacks("progress"):
            self._skip("progress", reason)
            return None
        config.progress_monitor = make_monitor(self.api, BuildProgress(self.path.name, stop))
        return config.progress_monitor

    def _set_precision(self, config: Any) -> None:
        if self.settings.precision == "exported":
            return
        if self.tensorrt.lacks("precision flags"):
            return  # the network says it all
        config.set_flag(self.api.BuilderFlag.FP16)
        if self.settings.precision == "int8":
            config.set_flag(self.api.BuilderFlag.INT8)

    def _set_profile(self, config: Any, definition: Any, sizes: Mapping[str, SizeRange]) -> bool:
        """Set the ranges of all sizes; whether none ever changes."""
        profile = self.builder.create_optimization_profile()
        inputs = [definition.get_input(index) for index in range(definition.num_inputs)]
        fixed = True
        for tensor in inputs:
            ranges = [self._range(tensor, axis, sizes) for axis in range(len(tensor.shape))]
            profile.set_shape(tensor.name, *zip(*ranges, strict=True))
            fixed &= all(size.minimum == size.maximum for size in ranges)
        if any(size < 0 for tensor in inputs for size in tensor.shape):
            config.add_optimization_profile(profile)
        return fixed

    def _range(self, tensor: Any, axis: int, sizes: Mapping[str, SizeRange]) -> SizeRange:
        size = tensor.shape[axis]
        if size >= 0:
            return SizeRange(size, size, size)
        name = tensor.get_dimension_name(axis)
        if name not in sizes:
            raise ConfigurationError(
                f"{self.path}: axis {axis} of '{tensor.name}' may have any size; give the range of '{name}' in sizes"
            )
        return sizes[name]

    def _use_dla(self, config: Any, core: int, fixed: bool) -> None:
        if reason := self._why_not_dla(core, fixed):
            self._skip(f"DLA core {core}", reason)
            return
        config.default_device_type = self.api.DeviceType.DLA
        config.DLA_core = core
        config.set_flag(self.api.BuilderFlag.GPU_FALLBACK)

    def _why_not_dla(self, core: int, fixed: bool) -> str | None:
        """Why the accelerator cannot run this network; the GPU would silently run all of it instead."""
        if reason := self.tensorrt.lacks("DLA"):
            return reason
        if core >= self.builder.num_DLA_cores:
            return f"this machine has {self.builder.num_DLA_cores} of them"
        if not fixed:
            return "it needs sizes that never change; give each the same minimum and maximum in sizes"
        # Where precision is a flag, ranges that stand in the network are for the GPU only.
        if self.settings.precision != "fp16" and not self.tensorrt.lacks("precision flags"):
            return "it wants half precision; set precision to fp16"
        return None

    def _skip(self, what: str, reason: str) -> None:
        self.skipped.append(f"{what}: {reason}")
        logger.warning("%s is built without %s: %s", self.path.name, what, reason)


def _in_words(error: Any) -> str:
    """A parser's complaint; older versions name the node by its number only."""
    operator = getattr(error, "node_operator", lambda: "")() or "node"
    name = getattr(error, "node_name", lambda: "")() or f"number {error.node()}"
    reason = " ".join(error.desc().split())
    return f"{operator} '{name}'" + (f": {reason}" if reason not in ("", "false") else " is not supported")
