"""Random arguments for the fuzz test: mostly sound, sometimes hostile."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.ops.devices import Device

HOSTILE_FLOATS = np.array([np.nan, np.inf, -np.inf, 3.4e38, -3.4e38, 1e-45, 0.0, -0.0, 1e9], np.float32)
HOSTILE_INTEGERS = np.array([-1, -2, 2**31 - 1, -(2**31), 65504, -65505, 1 << 20], np.int64)


class Draw:
    """Draws arrays on a device; the same seed draws the same.

    Attributes:
        random: where everything comes from.
        hostile: whether contents (never shapes) may be anything at all.
    """

    def __init__(self, seed: int, device: Device) -> None:
        self.random = np.random.default_rng(seed)
        self.hostile = bool(self.random.random() < 0.5)
        self._device = device

    def integer(self, low: int, high: int) -> int:
        """Draw from low to high, both included, the ends often."""
        if self.random.random() < 0.2:
            return int(self.random.choice([low, high]))
        return int(self.random.integers(low, high + 1))

    def choice(self, *values: Any) -> Any:
        """Draw one of the values."""
        return values[self.random.integers(len(values))]

    def rows(self, most: int = 60) -> int:
        """Draw a number of rows: none and one often."""
        return self.integer(0, self.choice(1, 5, most))

    def channels(self) -> int:
        """Draw a number of channels around the widths of vectors and tiles."""
        return self.choice(1, 3, 4, 5, 8, 15, 16, 17, 24, 32, 33, 64, 70)

    def put(self, values: np.ndarray) -> Any:
        """Put an array where the call shall run."""
        return self._device.array(values)

    def floats(self, *shape: int, dtype: type = np.float32, scale: float = 1.0) -> Any:
        """Draw normal numbers, some of them hostile."""
        return self.put(self.host_floats(*shape, scale=scale).astype(dtype))

    def host_floats(self, *shape: int, scale: float = 1.0) -> np.ndarray:
        """Draw as `floats`, left in CPU memory."""
        values = (scale * self.random.standard_normal(shape)).astype(np.float32)
        return self._spoil(values, HOSTILE_FLOATS)

    def integers(self, shape: Any, low: int, high: int, dtype: type = np.int32) -> Any:
        """Draw integers from low to high (included), some of them hostile."""
        return self.put(self.host_integers(shape, low, high, dtype))

    def host_integers(self, shape: Any, low: int, high: int, dtype: type = np.int32) -> np.ndarray:
        """Draw as `integers`, left in CPU memory."""
        values = self.random.integers(low, max(low, high) + 1, shape, dtype=np.int64)
        return self._spoil(values, HOSTILE_INTEGERS).astype(dtype)

    def coords(self, rows: int, reach: int | None = None, distinct: bool = True) -> Any:
        """Draw voxels int32 [rows or fewer, 4], crowded so that they have neighbours."""
        return self.put(self.host_coords(rows, reach, distinct))

    def host_coords(self, rows: int, reach: int | None = None, distinct: bool = True) -> np.ndarray:
        """Draw as `coords`, left in CPU memory."""
        reach = self.choice(1, 4, 30, 65500) if reach is None else reach
        xyz = self.random.integers(-reach, reach + 1, (rows, 3))
        coords = np.concatenate([self.random.integers(0, 3, (rows, 1)), xyz], 1)
        if distinct:
            coords = self.random.permutation(np.unique(coords, axis=0))
        return self._spoil(coords, HOSTILE_INTEGERS).astype(np.int32)

    def _spoil(self, values: np.ndarray, hostile: np.ndarray) -> np.ndarray:
        if self.hostile and values.size and self.random.random() < 0.5:
            count = self.integer(1, max(1, values.size // 4))
            values.reshape(-1)[self.random.integers(0, values.size, count)] = self.random.choice(hostile, count)
        return values
