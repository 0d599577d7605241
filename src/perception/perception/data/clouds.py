"""Clouds to try a network on: from a bag, from files, or simulated."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from perception.configuration import ConfigurationError
from perception.data.files import read_points

#: Simulated drives that no shipped network was trained on.
FIRST_SEED = 31


def find_clouds(bag: Path | None, files: list[Path] | None, sensor: str, count: int) -> list[NDArray[np.float32]]:
    """Read or simulate clouds, float32 [N, 4], without the points that are NaN or infinite.

    Args:
        bag: take the first `count` clouds of this bag.
        files: rows of float32 x, y, z, intensity, as KITTI stores them; with these, `bag` must be None.
        sensor: what to simulate where there is neither, a sweep of each of `count` drives.
        count: how many.

    Raises:
        ConfigurationError: a file that cannot be read, or no clouds.
    """
    if bag and files:
        raise ConfigurationError("give --bag or --cloud, not both")
    if files:
        clouds = [read_points(file, 4) for file in files]
    elif bag:
        clouds = _of_bag(bag, count)
    else:
        clouds = _simulated(sensor, count)
    finite = [np.ascontiguousarray(cloud[np.isfinite(cloud).all(1)]) for cloud in clouds]
    clouds = [cloud for cloud in finite if len(cloud)]
    if not clouds:
        raise ConfigurationError(f"{bag or (files and files[0])}: holds no points")
    return clouds


def with_columns(cloud: NDArray[np.float32], columns: int) -> NDArray[np.float32]:
    """Give a cloud the columns that a network takes, float32 [N, columns].

    Columns that it lacks are 0: a single sweep has no time lag, and of anything else nothing is known.
    """
    wide = np.zeros((len(cloud), columns), np.float32)
    wide[:, : cloud.shape[1]] = cloud[:, :columns]
    return wide


def _of_bag(bag: Path, count: int) -> list[NDArray[np.float32]]:
    from perception.data.bags import read_drive  # here, so that the rest needs no library for bags

    return [moment.frame.cloud.points for moment in islice(read_drive(bag), count)]


def _simulated(sensor: str, count: int) -> list[NDArray[np.float32]]:
    from perception.data.simulation import simulate_drive  # here: it loads a ray caster

    drives = (simulate_drive(seed=FIRST_SEED + number, sensor=sensor, frames=1) for number in range(count))
    return [moment.frame.cloud.points for drive in drives for moment in drive]
