"""The settings of an engine as TensorRT's configuration of a build."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from perception.configuration import ConfigurationError
from perception.runtime.dense.settings import EngineSettings, SizeRange
from perception.runtime.dense.tensorrt_module import TensorRt

logger = logging.getLogger(__name__)


class BuildOptions:
    """Turns settings into a configuration; what the installed TensorRT cannot do is skipped and said.

    Args:
        tensorrt: which one builds.
        builder: its builder.
        path: the network, for messages.
        settings: what is wanted.

    Attributes:
        skipped: what was left out, each with the reason.
    """

    def __init__(self, tensorrt: TensorRt, builder: Any, path: Path, settings: EngineSettings) -> None:
        self.tensorrt, self.api, self.builder = tensorrt, tensorrt.api, builder
        self.path, self.settings = path, settings
        self.skipped: list[str] = []

    def configure(self, definition: Any, sizes: Mapping[str, SizeRange]) -> Any:
        """Make the configuration for a network.

        Raises:
            ConfigurationError: a size may differ, and nothing says how much.
        """
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

    def skip(self, what: str, reason: str) -> None:
        """Leave something out."""
        self.skipped.append(f"{what}: {reason}")
        logger.warning("%s is built without %s: %s", self.path.name, what, reason)

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
            self.skip(f"DLA core {core}", reason)
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
