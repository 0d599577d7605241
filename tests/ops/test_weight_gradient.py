"""The gradient of weights at the edges of its tiling."""

import numpy as np
import pytest

from perception import ops


@pytest.mark.parametrize("rows", [1, 255, 256, 257])
@pytest.mark.parametrize("volume", [1, 2])
def test_every_row_counts_once(volume, rows, threads):
    features, gradient = np.ones((rows, 3), np.float32), np.ones((rows, 5), np.float32)
    table = np.tile(np.arange(rows, dtype=np.int32)[:, None], (1, volume))
    found = ops.weight_gradient(features, gradient, table, threads)
    np.testing.assert_array_equal(found, np.full((volume, 3, 5), rows, np.float32))
