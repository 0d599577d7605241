"""`perception inspect BUNDLE`: what a bundle is, and what it costs on a cloud."""

from __future__ import annotations

import argparse

from rich.console import Console

from perception.bundle.loading import load_bundle
from perception.evaluation.cloud_options import add_cloud_options, costs_on, read_clouds
from perception.evaluation.inspection.report import Inspection, print_inspection
from perception.ops import default_threads
from perception.paths import find_bundle
from perception.runtime.device.figures import read_figures


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.add_argument("bundle", help="a bundle: its folder, or its name in config/models")
    add_cloud_options(parser)
    parser.add_argument("--json", action="store_true", help="print everything as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Read, work out, print."""
    with Console(stderr=True).status("reading the bundle") as status:
        bundle = load_bundle(find_bundle(arguments.bundle))
        status.update("reading or simulating clouds")
        clouds, source = read_clouds(arguments, bundle.description)
        status.update("working out what they cost")
        costs = [costs_on(bundle, cloud, default_threads(), source) for cloud in clouds]
    inspection = Inspection(bundle, source, costs, read_figures())
    if arguments.json:
        print(inspection.to_json())
    else:
        print_inspection(Console(), inspection)
    return 0
