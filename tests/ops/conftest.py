"""Clouds of voxels that every operation has to cope with."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest


def _draw(seed: int, rows: int, low: int, high: int, batches: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    coords = np.concatenate([rng.integers(0, batches, (rows, 1)), rng.integers(low, high, (rows, 3))], 1)
    distinct = np.unique(coords.astype(np.int32), axis=0)
    return np.ascontiguousarray(distinct[rng.permutation(len(distinct))])


CLOUDS = {
    "empty": np.zeros((0, 4), np.int32),
    "one": np.array([[0, 5, -3, 2]], np.int32),
    "random": _draw(1, 700, 0, 14),
    "negative": _draw(2, 400, -9, 8),
    "batches": _draw(3, 600, -5, 6, batches=4),
    "dense": np.array([[0, x, y, z] for x in range(6) for y in range(6) for z in range(6)], np.int32),
    "far apart": np.array(
        [[0, 65503, 65503, 65503], [4095, -65504, -65504, -65504], [0, 65502, 65503, 65503]], np.int32
    ),
}


@pytest.fixture(params=CLOUDS)
def coords(request: pytest.FixtureRequest) -> np.ndarray:
    """Distinct voxels int32 [N, 4]."""
    return CLOUDS[request.param]


@pytest.fixture(params=[1, 2])
def threads(request: pytest.FixtureRequest) -> int:
    """How many CPU threads a call may use."""
    return request.param


@pytest.fixture(scope="session")
def golden(shared: Path) -> ModuleType:
    """The module that reads golden cases."""
    spec = importlib.util.spec_from_file_location("golden", shared / "golden" / "golden.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
