"""The ways in which rosbag2 compresses whole files or single messages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import lz4.frame
import zstandard

PIECE_BYTES = 1 << 22


@dataclass(frozen=True)
class Compression:
    """How bytes, and files, are unpacked."""

    unpack: Callable[[bytes], bytes]
    open_stream: Callable[[IO[bytes]], Any]


#: By the suffix of a compressed file, which is also the name in metadata.yaml.
COMPRESSIONS = {
    "zstd": Compression(
        lambda data: zstandard.ZstdDecompressor().decompressobj().decompress(data),
        lambda file: zstandard.ZstdDecompressor().stream_reader(file),
    ),
    "lz4": Compression(lz4.frame.decompress, lz4.frame.LZ4FrameFile),
}


def unpack_file(packed: Path, whole: Path) -> None:
    """Unpack a file as far as it goes; what is missing then shows in the file itself, which is cut short."""
    with packed.open("rb") as source, whole.open("wb") as target:
        try:
            stream = COMPRESSIONS[packed.suffix[1:]].open_stream(source)
            while piece := stream.read(PIECE_BYTES):
                target.write(piece)
        except (EOFError, RuntimeError, zstandard.ZstdError):
            return
