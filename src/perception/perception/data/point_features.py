"""The features of a cloud's points beside x, y, z and intensity, for networks that take more."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perception.data.point_clouds import DecodedCloud
from perception.data.point_layout import require


def with_fields(message: Any, decoded: DecodedCloud, names: Sequence[str]) -> NDArray[np.float32]:
    """Put further fields of a cloud beside those that were decoded.

    Args:
        message: the cloud.
        decoded: the same.
        names: of the fields.

    Returns:
        float32 [N, 4 + fields] of the points that are used and have a finite value in every field; the decoded points
        themselves where no field is asked for.

    Raises:
        CloudError: a field is missing, or of a type that cannot be read.
    """
    points = decoded.cloud.points
    if not names:
        return points
    if not len(points):
        return np.empty((0, 4 + len(names)), np.float32)
    require(message, decoded.layout, tuple(names))
    columns = [np.asarray(decoded.layout.field(name), np.float32) for name in names]
    rows = slice(None) if decoded.used is None else decoded.used
    joined = np.column_stack([points, *(column[rows] for column in columns)])
    return joined[np.isfinite(joined[:, 4:]).all(axis=1)]
