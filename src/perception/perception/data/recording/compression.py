"""The ways in which rosbag2 compresses whole files or single messages."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import lz4.frame
import zstandard

PIECE_BYTES = 1 << 22
DAMAGED = (EOFError, RuntimeError, zstandard.ZstdError)


@dataclass(frozen=True)
class Compression:
    """How bytes, and files, are unpacked.

    Attributes:
        magic: the first bytes of what is compressed; a serialized message begins with 0.
        unpack: gives the bytes; raises RuntimeError, ZstdError or EOFError where they are damaged.
        open_stream: reads a file piece by piece.
    """

    magic: bytes
    unpack: Callable[[bytes], bytes]
    open_stream: Callable[[IO[bytes]], Any]


#: By the suffix of a compressed file.
COMPRESSIONS = {
    "zstd": Compression(
        b"\x28\xb5\x2f\xfd",
        lambda data: zstandard.ZstdDecompressor().decompressobj().decompress(data),
        lambda file: zstandard.ZstdDecompressor().stream_reader(file),
    ),
    "lz4": Compression(b"\x04\x22\x4d\x18", lz4.frame.decompress, lz4.frame.LZ4FrameFile),
}


def unpack_message(data: bytes) -> bytes:
    """Unpack a message that is compressed by itself; any other, and one that is damaged, stays as it is."""
    for compression in COMPRESSIONS.values():
        if data.startswith(compression.magic):
            with suppress(*DAMAGED):
                return compression.unpack(data)
    return data


def unpack_file(packed: Path, whole: Path) -> None:
    """Unpack a file as far as it goes; what is missing then shows in the file itself, which is cut short."""
    with packed.open("rb") as source, whole.open("wb") as target:
        try:
            stream = COMPRESSIONS[packed.suffix[1:]].open_stream(source)
            while piece := stream.read(PIECE_BYTES):
                target.write(piece)
        except DAMAGED:
            return
