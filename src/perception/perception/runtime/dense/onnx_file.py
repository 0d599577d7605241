"""Reading ONNX files as far as it matters before an engine sees them: whole, without pointers to other files.

The format is Protocol Buffers; the few fields of interest are read here, so that robots need no `onnx` package.
Field numbers are those of onnx.proto3 (ONNX 1.x, unchanged since IR version 3).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from perception.configuration import ConfigurationError

#: Kind of message -> number of a field -> kind of the message in it.
_PARTS: dict[str, dict[int, str]] = {
    "model": {7: "graph", 25: "function"},
    "function": {7: "node"},
    "graph": {1: "node", 5: "tensor", 15: "sparse tensor"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse tensor", 23: "sparse tensor"},
    "sparse tensor": {1: "tensor", 2: "tensor"},
}
_MODEL_METADATA, _ENTRY_KEY, _ENTRY_VALUE = 14, 1, 2
_TENSOR_NAME, _TENSOR_EXTERNAL_DATA, _TENSOR_DATA_LOCATION = 8, 13, 14


def read_network(path: Path) -> bytes:
    """Read an ONNX file.

    Raises:
        ConfigurationError: it cannot be read; or as in `check_network`.
    """
    try:
        network = path.read_bytes()
    except OSError as error:
        reason = error.strerror or error
        raise ConfigurationError(f"{path}: cannot be read ({reason}); export the bundle again") from None
    check_network(network, path)
    return network


def check_network(network: bytes, path: Path) -> None:
    """Check that the contents of an ONNX file are whole and point to no other files.

    Raises:
        ConfigurationError: they are damaged, or keep weights in other files, which no checksum covers.
    """
    try:
        external = next(_external_tensors(network), None)
    except ValueError:
        raise ConfigurationError(f"{path}: not an ONNX file, or a damaged one; export the bundle again") from None
    if external is not None:
        raise ConfigurationError(f"{path}: '{external}' lies in another file; export it with all weights inside")


def read_metadata(network: bytes, key: str) -> str | None:
    """Read an entry of the network's metadata; None where there is none of that name."""
    for number, value in _fields(memoryview(network)):
        if number == _MODEL_METADATA:
            entry = dict(_fields(value))
            if bytes(entry.get(_ENTRY_KEY, b"")) == key.encode():
                return bytes(entry.get(_ENTRY_VALUE, b"")).decode(errors="replace")
    return None


def _external_tensors(network: bytes) -> Iterator[str]:
    """Names of the tensors whose contents lie elsewhere; ValueError if this is not a model at all."""
    waiting: list[tuple[str, Any]] = [("model", memoryview(network))]
    graphs = 0
    while waiting:
        kind, message = waiting.pop()
        graphs += kind == "graph"
        if kind == "tensor":
            fields = dict(_fields(message))
            if fields.get(_TENSOR_DATA_LOCATION) or _TENSOR_EXTERNAL_DATA in fields:
                yield bytes(fields.get(_TENSOR_NAME, b"")).decode(errors="replace")
            continue
        parts = _PARTS[kind]
        waiting += [(parts[number], value) for number, value in _fields(message) if number in parts]
    if not graphs:
        raise ValueError("no graph")


def _fields(message: memoryview) -> Iterator[tuple[int, Any]]:
    """The fields of a message: (number, integer or bytes); ValueError where it breaks off."""
    if not isinstance(message, memoryview):
        raise ValueError("a number where a message belongs")
    position = 0
    while position < len(message):
        tag, position = _varint(message, position)
        kind = tag & 7
        if kind == 0:
            value, position = _varint(message, position)
            yield tag >> 3, value
            continue
        size = {1: 8, 5: 4}.get(kind)
        if kind == 2:
            size, position = _varint(message, position)
        if size is None or size > len(message) - position:
            raise ValueError("cut off, or of another format")
        yield tag >> 3, message[position : position + size]
        position += size


def _varint(message: memoryview, position: int) -> tuple[int, int]:
    """An integer of seven bits a byte, and where the next field begins."""
    value = 0
    for count, byte in enumerate(message[position : position + 10]):
        value |= (byte & 127) << (7 * count)
        if byte < 128:
            return value, position + count + 1
    raise ValueError("cut off, or of another format")
