"""`perception export CONFIG --weights W --out B.bundle`: a network becomes a bundle that runs without PyTorch."""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console

from perception.configuration import ConfigurationError
from perception.data.clouds import find_clouds
from perception.export.exporter import export_network
from perception.export.report import print_export
from perception.export.sources import Overrides, find_source


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    option = parser.add_argument
    option("config", help="a bundle (folder or name), a bundle.yaml, or a training configuration (file or name)")
    option("--weights", type=Path, metavar="FILE", help="checkpoint or .safetensors; by default the bundle's own")
    option("--out", type=Path, required=True, metavar="FOLDER", help="where the bundle goes; it may be the same one")
    option("--precision", choices=("float32", "float16", "auto"), default="float32", help="what layers of sparse "
           "networks compute in; auto takes float16 where scores change by 1 %% at most and 99.5 %% of the labels "
           "stay; networks with dense regions (pvcnn, detectors) stay in float32: where a GPU's engines are built, the "
           "machine's engine settings choose for the regions; default: %(default)s")  # fmt: skip
    option("--half-weights", action="store_true", help="store weights in half precision, in half the space")
    option("--bag", type=Path, help="compare with PyTorch on clouds of this bag")
    option("--cloud", type=Path, action="append", metavar="FILE", help="compare on this cloud: rows of float32 x, y, "
           "z, intensity; may be given several times")  # fmt: skip
    option("--sensor", default="hdl64e", help="compare on simulated sweeps of this sensor (default: %(default)s)")
    option("--clouds", type=int, default=2, metavar="N", help="how many of the bag or of the simulator to compare on "
           "(default: %(default)s)")  # fmt: skip
    option("--name", help="of the bundle")
    option("--license", help="of the weights, as their publisher states it")
    option("--origin", help="where the weights come from")


def run(arguments: argparse.Namespace) -> int:
    """Export, compare, and say how far the result is from PyTorch."""
    if arguments.clouds < 1:
        raise ConfigurationError(f"--clouds: expected 1 or more, found {arguments.clouds}")
    console = Console()
    overrides = Overrides(arguments.name, arguments.license, arguments.origin)
    with console.status("reading the network") as status:
        source = find_source(arguments.config, arguments.weights, overrides, arguments.half_weights)
        status.update("reading or simulating clouds")
        clouds = find_clouds(arguments.bag, arguments.cloud, arguments.sensor, arguments.clouds)
        exported = export_network(source, arguments.out, clouds, arguments.precision, status.update)
    print_export(console, exported, arguments.out, arguments.precision)
    return 0
