"""Weights from a safetensors file: read in place, every value checked.

The format: 8 bytes with the length of a JSON header, the header, which says the type, shape and place of each tensor,
then the tensors without gaps.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import pydantic
from numpy.typing import NDArray

from perception.bundle.json_text import parse_json
from perception.bundle.supernet import NORM_COUNTER
from perception.configuration import ConfigurationError, Settings, parse_settings

DTYPES: dict[str, type[np.generic]] = {"F32": np.float32, "F16": np.float16, "I64": np.int64, "U8": np.uint8}
_LENGTH_BYTES = 8
_MOST_HEADER_BYTES = 1 << 24
_NAME = re.compile(r"[A-Za-z0-9_./-]{1,200}")
Axis = Annotated[int, pydantic.Field(ge=1, le=1 << 31)]
Offset = Annotated[int, pydantic.Field(ge=0)]
Tensors = Mapping[str, NDArray[Any]]


class _Entry(Settings):
    """What the header says about a tensor."""

    dtype: Literal["F32", "F16", "I64", "U8"]
    shape: tuple[Axis, ...] = pydantic.Field(max_length=8)
    data_offsets: tuple[Offset, Offset]


def parse_tensors(content: bytes, source: str | Path) -> dict[str, NDArray[Any]]:
    """Find the tensors in a safetensors file.

    Args:
        content: the whole file; the arrays are read-only views of it, and keep it in memory.
        source: the file, for messages.

    Raises:
        ConfigurationError: a header that is damaged or that lies about the file, or a type that no weights have.
    """
    length = int.from_bytes(content[:_LENGTH_BYTES], "little")
    start = _LENGTH_BYTES + length
    if not 2 <= length <= _MOST_HEADER_BYTES or start > len(content):
        raise _damaged(source, "its header does not fit into the file")
    header = parse_json(content[_LENGTH_BYTES:start], source)
    if not isinstance(header, dict):
        raise _damaged(source, "its header is no mapping")
    header.pop("__metadata__", None)
    entries = {name: _entry(name, values, source) for name, values in header.items()}
    _check_places(entries, len(content) - start, source)
    return {name: _array(content, start, entry) for name, entry in entries.items()}


def check_weights(tensors: Tensors, source: str | Path) -> None:
    """Check the values of weights.

    Raises:
        ConfigurationError: integers where no counter is, NaN, infinity, or a negative variance of a batch norm.
    """
    for name, tensor in tensors.items():
        if tensor.dtype.kind != "f":
            if not name.endswith(NORM_COUNTER):
                raise ConfigurationError(f"{source}: '{name}' is {tensor.dtype}, expected float32 or float16")
        elif not np.isfinite(tensor).all():
            raise ConfigurationError(f"{source}: '{name}' holds NaN or infinite values; export the bundle again")
        elif name.endswith(".running_var") and (tensor < 0).any():
            raise ConfigurationError(f"{source}: '{name}' holds a negative variance; export the bundle again")


def _entry(name: str, values: Any, source: str | Path) -> _Entry:
    if not _NAME.fullmatch(name):
        raise _damaged(source, f"{name[:40]!r} is no tensor's name")
    return parse_settings(_Entry, values, f"{source}: tensor '{name}'")


def _check_places(entries: Mapping[str, _Entry], size: int, source: str | Path) -> None:
    """Tensors must fill the file: none may overlap another, and none may be larger than its part of the file."""
    end = 0
    for name, entry in sorted(entries.items(), key=lambda item: item[1].data_offsets):
        begin = end
        end += math.prod(entry.shape) * np.dtype(DTYPES[entry.dtype]).itemsize
        if entry.data_offsets != (begin, end):
            raise _damaged(source, f"'{name}' does not lie where its header says")
    if end != size:
        raise _damaged(source, f"its header describes {end} bytes of tensors, but there are {size}")


def _array(content: bytes, start: int, entry: _Entry) -> NDArray[Any]:
    count = math.prod(entry.shape)
    array = np.frombuffer(content, DTYPES[entry.dtype], count, start + entry.data_offsets[0]).reshape(entry.shape)
    # A header of odd length leaves the numbers where processors read them slowly or not at all.
    return array if array.flags.aligned else array.copy()


def _damaged(source: str | Path, reason: str) -> ConfigurationError:
    return ConfigurationError(f"{source}: damaged safetensors file ({reason}); export the bundle again")
