"""What `perception inspect` and `perception benchmark` have in common: the clouds, and what a bundle costs on them."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perception.bundle.format import CommonDescription
from perception.bundle.loading import Bundle
from perception.configuration import ConfigurationError
from perception.data.clouds import find_clouds, with_columns
from perception.runtime.inspection import FrameCosts, measure_costs


def add_cloud_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options that say which clouds to take."""
    option = parser.add_argument
    option("--cloud", type=Path, action="append", metavar="FILE", help="take this cloud: rows of float32 x, y, z, "
           "intensity; may be given several times")  # fmt: skip
    option("--bag", type=Path, help="take clouds of this bag")
    option("--sensor", default="hdl64e", help="take simulated sweeps of this sensor (default: %(default)s)")
    option("--clouds", type=int, default=1, metavar="N", help="how many of the bag or of the simulator to take "
           "(default: %(default)s)")  # fmt: skip


def read_clouds(arguments: argparse.Namespace, description: CommonDescription) -> tuple[list[NDArray[np.float32]], str]:
    """Read or simulate what the options say.

    Returns:
        clouds float32 [N, columns that the network takes], N at least 1, and where they come from.

    Raises:
        ConfigurationError: one line that says which option or file is wrong.
    """
    if arguments.clouds < 1:
        raise ConfigurationError(f"--clouds: expected 1 or more, found {arguments.clouds}")
    found = find_clouds(arguments.bag, arguments.cloud, arguments.sensor, arguments.clouds)
    clouds = [with_columns(cloud, description.point_columns) for cloud in found]
    if arguments.cloud:
        return clouds, ", ".join(file.name for file in arguments.cloud)
    if arguments.bag:
        return clouds, f"{arguments.bag.name}, its first {len(clouds)}"
    return clouds, f"simulated {arguments.sensor}, {len(clouds)} sweep{'s' * (len(clouds) > 1)}"


def costs_on(bundle: Bundle[Any], cloud: NDArray[np.float32], threads: int, source: str) -> FrameCosts:
    """Work out what a bundle costs on a cloud; a cloud that no network takes is the user's mistake."""
    try:
        return measure_costs(bundle, cloud, threads)
    except ValueError as error:
        raise ConfigurationError(f"{source}: {error}") from None
