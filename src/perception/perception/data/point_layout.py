"""Where the fields of a PointCloud2 lie in its buffer, checked before anything is read.

Works on any object with the attributes of sensor_msgs/PointCloud2, so that bags and tests need no rclpy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: sensor_msgs/PointField datatype -> NumPy type without byte order.
NUMPY_TYPES: dict[int, str] = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 8: "f8"}

#: A cloud that claims to be larger than this is refused before memory is taken for it.
MAX_CLOUD_BYTES = 1 << 30


class CloudError(ValueError):
    """A cloud that cannot be used.

    Attributes:
        reason: a short key under which such clouds are counted, for example ``missing_field``.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True)
class CloudLayout:
    """A checked PointCloud2: every named field can be viewed without reading outside the buffer.

    Attributes:
        buffer: uint8 [bytes], the message's data, not copied.
        height, width: rows and points in a row.
        point_step, row_step: distance in bytes from one point, one row, to the next.
        fields: name -> (type with byte order, offset in the point).
    """

    buffer: NDArray[np.uint8]
    height: int
    width: int
    point_step: int
    row_step: int
    fields: dict[str, tuple[np.dtype[Any], int]]

    @property
    def count(self) -> int:
        """Number of points."""
        return self.height * self.width

    @property
    def has_row_padding(self) -> bool:
        """Whether rows are followed by bytes that belong to no point."""
        return self.height > 1 and self.row_step != self.width * self.point_step

    def field(self, name: str) -> NDArray[Any]:
        """View one field as [count]; a copy only where rows are padded."""
        dtype, offset = self.fields[name]
        return self._view(dtype, offset)

    def rows(self) -> NDArray[np.void]:
        """View whole points as opaque bytes, void [count]; a copy only where rows are padded."""
        return self._view(np.dtype((np.void, self.point_step)), 0)

    def _view(self, dtype: np.dtype[Any], offset: int) -> NDArray[Any]:
        if not self.has_row_padding:
            return np.ndarray((self.count,), dtype, self.buffer, offset, (self.point_step,))
        strides = (self.row_step, self.point_step)
        return np.ndarray((self.height, self.width), dtype, self.buffer, offset, strides).reshape(-1)


def layout_of(message: Any) -> CloudLayout:
    """Check a PointCloud2's numbers against each other and against its data.

    Raises:
        CloudError: too_large, no_point_step, field_outside_point, short_rows or truncated.
    """
    height, width = int(message.height), int(message.width)
    point_step, row_step = int(message.point_step), int(message.row_step)
    claimed = max(height * width * max(point_step, 1), height * row_step if height > 1 else 0)
    if claimed > MAX_CLOUD_BYTES:
        raise CloudError("too_large", f"{height} x {width} points of {point_step} bytes; the limit is 1 GiB a cloud")
    if height * width and point_step == 0:
        raise CloudError("no_point_step", f"point_step is 0 for {height} x {width} points")
    fields = {field.name: _checked_field(field, point_step, message.is_bigendian) for field in message.fields}
    known = {name: place for name, place in fields.items() if place is not None}
    buffer = np.frombuffer(message.data, np.uint8)
    if height * width:
        row_step = _checked_row_step(height, width, point_step, row_step, len(buffer))
    return CloudLayout(buffer, height, width, point_step, row_step, known)


def _checked_field(field: Any, point_step: int, is_bigendian: bool) -> tuple[np.dtype[Any], int] | None:
    # A type that nobody needs may be unknown: `require` speaks up when it is needed.
    if field.datatype not in NUMPY_TYPES or field.count > 1:
        return None
    dtype = np.dtype(NUMPY_TYPES[field.datatype]).newbyteorder(">" if is_bigendian else "<")
    if point_step and field.offset + dtype.itemsize > point_step:
        raise CloudError(
            "field_outside_point",
            f"field '{field.name}' ends at byte {field.offset + dtype.itemsize} of a point of {point_step} bytes",
        )
    return dtype, int(field.offset)


def _checked_row_step(height: int, width: int, point_step: int, row_step: int, size: int) -> int:
    packed = width * point_step
    # Drivers of unorganised clouds often leave row_step at 0; it has a meaning only between rows.
    if height > 1 and row_step < packed:
        raise CloudError(
            "short_rows", f"row_step is {row_step}, but {width} points of {point_step} bytes need {packed}"
        )
    row_step = row_step if height > 1 else packed
    needed = (height - 1) * row_step + packed
    if size < needed:
        raise CloudError("truncated", f"{size} bytes of data, but {height} x {width} points need {needed}")
    return row_step


def require(message: Any, layout: CloudLayout, names: tuple[str, ...]) -> None:
    """Check that fields are there and of a type that can be read.

    Raises:
        CloudError: missing_field or unsupported_type; the message prints what was found and what is needed.
    """
    found = {field.name: field for field in message.fields}
    missing = [name for name in names if name not in found]
    if missing:
        raise CloudError(
            "missing_field",
            f"cloud lacks {', '.join(missing)} (found: {', '.join(found) or 'no fields'}; needed: {', '.join(names)})",
        )
    for name in names:
        if name not in layout.fields:
            field = found[name]
            raise CloudError(
                "unsupported_type",
                f"field '{name}' has datatype {field.datatype} and count {field.count}; needed: a number from INT8 (1) "
                "to FLOAT64 (8), one a point",
            )
