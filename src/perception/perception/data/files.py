"""Reading the plain files of public data sets; what is wrong with one is said in one line that names it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from perception.configuration import ConfigurationError


def read_bytes(path: Path) -> bytes:
    """Read a file.

    Raises:
        ConfigurationError: it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read ({error.strerror or error})") from None


def read_points(path: Path, columns: int) -> NDArray[np.float32]:
    """Read a cloud stored as rows of float32: [N, columns].

    Raises:
        ConfigurationError: it cannot be read, or its size is not a multiple of a row's.
    """
    data = read_bytes(path)
    if len(data) % (4 * columns):
        raise ConfigurationError(
            f"{path}: {len(data)} bytes are not a whole number of points of {4 * columns} bytes; is the file cut short?"
        )
    return np.frombuffer(data, "<f4").astype(np.float32, copy=False).reshape(-1, columns)


def read_numbers(path: Path, columns: int) -> NDArray[np.float64]:
    """Read a text file with `columns` numbers a line: float64 [K, columns].

    Raises:
        ConfigurationError: it cannot be read, or a line is otherwise.
    """
    lines = [line.split() for line in _text(path).splitlines() if line.strip()]
    rows = [_numbers(words, columns, f"{path}: line {index + 1}") for index, words in enumerate(lines)]
    return np.array(rows, np.float64).reshape(-1, columns)


def read_calibration(path: Path) -> dict[str, NDArray[np.float64]]:
    """Read KITTI's calibration file, lines of `name: numbers`: name -> float64 [3, 4] or [3, 3].

    Raises:
        ConfigurationError: it cannot be read, or an entry has neither 9 nor 12 numbers.
    """
    entries: dict[str, NDArray[np.float64]] = {}
    for line in _text(path).splitlines():
        name, _, rest = line.partition(":")
        if not rest.strip():
            continue
        words = rest.split()
        columns = 9 if len(words) == 9 else 12
        entries[name.strip()] = np.array(_numbers(words, columns, f"{path}: {name.strip()}")).reshape(3, -1)
    return entries


def png_size(path: Path, encoded: bytes) -> tuple[int, int]:
    """Width and height of a PNG file, from its first chunk (PNG specification, 11.2.2).

    Raises:
        ConfigurationError: it is no PNG file.
    """
    if encoded[:8] != b"\x89PNG\r\n\x1a\n" or len(encoded) < 24:
        raise ConfigurationError(f"{path}: not a PNG image")
    return int.from_bytes(encoded[16:20], "big"), int.from_bytes(encoded[20:24], "big")


def _text(path: Path) -> str:
    return read_bytes(path).decode(errors="replace")


def _numbers(words: list[str], count: int, where: str) -> list[float]:
    try:
        values = [float(word) for word in words]
    except ValueError:
        raise ConfigurationError(f"{where}: expected numbers, found '{' '.join(words)[:40]}'") from None
    if len(values) != count:
        raise ConfigurationError(f"{where}: expected {count} numbers, found {len(values)}")
    return values
