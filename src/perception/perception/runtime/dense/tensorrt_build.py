"""Building a TensorRT engine from an ONNX network."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from perception.configuration import ConfigurationError
from perception.runtime.dense.half_precision import convert_to_half
from perception.runtime.dense.settings import EngineSettings, stated_sizes
from perception.runtime.dense.tensorrt_module import TensorRt, make_logger
from perception.runtime.dense.tensorrt_options import BuildOptions
from perception.runtime.dense.tensorrt_progress import BuildProgress, make_monitor


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
        stop: ends the build early where this is set; the end of the program does so too.

    Raises:
        ConfigurationError: TensorRT cannot read or build the network, or a size is missing.
        BuildStoppedError: the build was stopped.
    """
    begin_s = time.monotonic()
    build = _Build(tensorrt, path, settings or EngineSettings())
    definition = build.parse(build.in_precision(network))
    config = build.options.configure(definition, {**stated_sizes(network, path), **build.settings.sizes})
    times = build.use_timing_cache(config, timing_cache)
    progress = BuildProgress(path.name, stop)
    monitor = build.report_progress(config, progress)
    plan = build.builder.build_serialized_network(definition, config)
    if monitor is not None and monitor.failure is not None:
        raise monitor.failure
    if plan is None and progress.stopped():
        raise BuildStoppedError(f"{path.name}: the build of its engine was stopped")
    if plan is None:
        raise ConfigurationError(f"{path}: {tensorrt} cannot build it ({build.messages.last_error()})")
    timed = b"" if times is None else bytes(times.serialize())
    elapsed_s = time.monotonic() - begin_s
    return BuiltEngine(bytes(plan), definition.num_layers, tuple(build.options.skipped), timed, elapsed_s)


def unsupported_operations(tensorrt: TensorRt, network: bytes) -> list[str]:
    """Tell which operations of an ONNX network TensorRT cannot parse, and why; none if it can be built."""
    build = _Build(tensorrt, Path("network"), EngineSettings())
    build.define(network)
    return build.refused


class _Build:
    """One build: the builder, and what it says on the way."""

    def __init__(self, tensorrt: TensorRt, path: Path, settings: EngineSettings) -> None:
        self.tensorrt, self.api, self.path, self.settings = tensorrt, tensorrt.api, path, settings
        self.messages = make_logger(self.api)
        self.builder = self.api.Builder(self.messages)
        self.options = BuildOptions(tensorrt, self.builder, path, settings)
        self.parser: Any = None
        self.refused: list[str] = []

    def in_precision(self, network: bytes) -> bytes:
        """Write half precision into the network where no flag asks for it; int8 is written in before."""
        to_half = self.settings.precision == "fp16" and self.tensorrt.lacks("precision flags")
        return convert_to_half(network) if to_half else network

    def define(self, network: bytes) -> Any:
        """Read the network; what cannot be read is in `refused`."""
        free_types = self.settings.precision != "exported" and not self.tensorrt.lacks("precision flags")
        definition = self.builder.create_network(self.tensorrt.network_flags(typed_by_file=not free_types))
        # The weights of the definition are the parser's, which must live as long as the build.
        self.parser = parser = self.api.OnnxParser(definition, self.messages)
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

    def use_timing_cache(self, config: Any, content: bytes) -> Any:
        """Start from what was timed before; another version's or GPU's cache is left aside."""
        if self.tensorrt.lacks("timing cache"):
            return None
        cache = config.create_timing_cache(content)
        if cache is None or not config.set_timing_cache(cache, False):
            cache = config.create_timing_cache(b"")
            config.set_timing_cache(cache, False)
        return cache

    def report_progress(self, config: Any, progress: BuildProgress) -> Any:
        """Tell the log how far the build is."""
        if reason := self.tensorrt.lacks("progress"):
            self.options.skip("progress", reason)
            return None
        monitor = make_monitor(self.api, progress)
        config.progress_monitor = monitor
        return monitor


def _in_words(error: Any) -> str:
    """A parser's complaint; older versions name the node by its number only."""
    operator = getattr(error, "node_operator", lambda: "")() or "node"
    name = getattr(error, "node_name", lambda: "")() or f"number {error.node()}"
    reason = " ".join(error.desc().split())
    return f"{operator} '{name}'" + (f": {reason}" if reason not in ("", "false") else " is not supported")
