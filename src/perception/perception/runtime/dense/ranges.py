"""Tables of measured ranges, from which a network is quantised to int8."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Annotated, Literal, get_args

import pydantic

from perception.configuration import ConfigurationError, Settings, parse_settings
from perception.runtime.dense.file_cache import FileCache

Method = Literal["least_error", "entropy", "percentile", "maximum"]
METHODS: tuple[Method, ...] = get_args(Method)
#: A table that a bundle brings along lies beside its network, under the network's name with this ending.
SUFFIX = ".ranges.json"


class RangeTable(Settings):
    """Up to which magnitude int8 represents each tensor, and what that was measured with.

    Attributes:
        network_sha256: of the ONNX file.
        method: how ranges were chosen.
        percentile: for that method, how many percent of all values lie inside.
        data_sha256: of the arrays that were measured.
        limits: tensor -> largest magnitude.
    """

    format: Literal[1] = 1
    network_sha256: str
    method: Method
    percentile: float | None = None
    data_sha256: str
    limits: dict[str, Annotated[float, pydantic.Field(gt=0, allow_inf_nan=False)]]

    def file_name(self) -> str:
        """Name the table in a cache; tables of other networks, methods or data have other names."""
        facts = f"{self.method} {self.percentile} {self.data_sha256}"
        return f"{_prefix(self.network_sha256)}{hashlib.sha256(facts.encode()).hexdigest()[:16]}{SUFFIX}"

    def to_json(self) -> bytes:
        """Write it down, always in the same way."""
        return json.dumps(self.model_dump(), indent=1, sort_keys=True).encode() + b"\n"


def read_table(content: bytes, source: str | Path, network_sha256: str) -> RangeTable:
    """Read a table for a network.

    Raises:
        ConfigurationError: it is damaged, or was measured with another network.
    """
    try:
        values = json.loads(content)
    except ValueError:
        raise ConfigurationError(f"{source}: not a table of ranges; calibrate again") from None
    table = parse_settings(RangeTable, values, source)
    if table.network_sha256 != network_sha256:
        raise ConfigurationError(f"{source}: was measured with another network; calibrate again")
    return table


def find_table(path: Path, network: bytes, files: FileCache) -> RangeTable:
    """Find the ranges of a network: in the file beside it, else the latest that was measured on this machine.

    Args:
        path: the ONNX file.
        network: its contents.
        files: where calibrations are kept.

    Raises:
        ConfigurationError: there is none, or the one beside the network is damaged or of another network.
    """
    network_sha256 = hashlib.sha256(network).hexdigest()
    beside = path.with_name(path.stem + SUFFIX)
    if beside.is_file():
        return read_table(beside.read_bytes(), beside, network_sha256)
    for name in files.latest(f"{_prefix(network_sha256)}*{SUFFIX}"):
        content = files.read(name)
        try:
            return read_table(content or b"", name, network_sha256)
        except ConfigurationError:
            continue
    raise ConfigurationError(f"{path}: int8 needs measured ranges; calibrate it first, or choose fp16")


def _prefix(network_sha256: str) -> str:
    return f"{network_sha256[:16]}-"
