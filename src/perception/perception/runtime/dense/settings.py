"""What can be chosen about the engine of a dense region."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Literal, NamedTuple

import pydantic

from perception.configuration import ConfigurationError, Settings, load_settings, parse_settings
from perception.runtime.dense.onnx_file import read_metadata

#: Metadata of an ONNX file that says how large its named dimensions get, as JSON: {"blocks": [1, 16, 64]}.
SIZES_KEY = "perception.sizes"
#: Environment variable that names a YAML file with the settings of this machine's engines (`EngineSettings`).
SETTINGS_VARIABLE = "PERCEPTION_ENGINE_SETTINGS"
#: "exported": every layer as the file says; "fp16": half precision where it is faster; "int8": by measured ranges.
Precision = Literal["exported", "fp16", "int8"]


class SizeRange(NamedTuple):
    """How large a dimension gets: never smaller, mostly, never larger."""

    minimum: int
    typical: int
    maximum: int


class EngineSettings(Settings):
    """How an engine is built; engines of other settings are other engines, also in the cache.

    Attributes:
        precision: what layers compute in.
        sizes: range of each dimension that the ONNX file gives a name instead of a size; what is left out here, the
            file's own metadata says.
        dla_core: which deep learning accelerator runs what it can (the GPU runs the rest); None: all on the GPU.
        workspace_mib: memory that layers may use while they run; None: what the GPU has.
        effort: 0 to 5, how long to search for the fastest kernels; None: TensorRT's default, 3.
    """

    precision: Precision = "exported"
    sizes: dict[str, SizeRange] = pydantic.Field(default_factory=dict)
    dla_core: int | None = pydantic.Field(default=None, ge=0)
    workspace_mib: int | None = pydantic.Field(default=None, ge=1)
    effort: int | None = pydantic.Field(default=None, ge=0, le=5)

    @pydantic.field_validator("sizes")
    @classmethod
    def _in_order(cls, sizes: dict[str, SizeRange]) -> dict[str, SizeRange]:
        for name, size in sizes.items():
            if not 1 <= size.minimum <= size.typical <= size.maximum:
                raise ValueError(f"'{name}' wants 1 <= minimum <= typical <= maximum")
        return sizes


def machine_settings() -> EngineSettings:
    """Read how engines are built on this machine: the file that $PERCEPTION_ENGINE_SETTINGS names, else the defaults.

    Raises:
        ConfigurationError: the file cannot be read, or holds something else.
    """
    path = os.environ.get(SETTINGS_VARIABLE)
    return load_settings(EngineSettings, path) if path else EngineSettings()


def stated_sizes(network: bytes, path: Path) -> dict[str, SizeRange]:
    """Tell how large the named dimensions of an ONNX file get by its own metadata; empty where it says nothing.

    Raises:
        ConfigurationError: it says something that makes no sense.
    """
    text = read_metadata(network, SIZES_KEY)
    if text is None:
        return {}
    try:
        values = json.loads(text)
    except ValueError:
        raise ConfigurationError(f"{path}: its metadata {SIZES_KEY} is not JSON; export the bundle again") from None
    return parse_settings(EngineSettings, {"sizes": values}, path).sizes
