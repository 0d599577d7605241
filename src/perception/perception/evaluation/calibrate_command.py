"""`perception calibrate BUNDLE --bag B`: measure the ranges that its dense regions need to run in int8."""

from __future__ import annotations

import argparse
from collections.abc import Mapping

from rich.console import Console
from rich.table import Table

from perception.bundle.files import BundleFiles
from perception.bundle.format import DESCRIPTION_FILE, read_any_description
from perception.configuration import ConfigurationError
from perception.evaluation.cloud_options import add_cloud_options, read_clouds
from perception.paths import find_bundle
from perception.runtime.dense.bundle_calibration import calibrate_bundle
from perception.runtime.dense.file_cache import FileCache
from perception.runtime.dense.ranges import METHODS, RangeTable
from perception.runtime.dense.settings import SETTINGS_VARIABLE


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    option = parser.add_argument
    option("bundle", help="a bundle: its folder, or its name in config/models")
    add_cloud_options(parser)
    parser.set_defaults(clouds=20)
    option("--method", choices=METHODS, default="least_error", help="how ranges are chosen (default: %(default)s)")
    option("--percentile", type=float, default=99.99, metavar="P", help="for the method of that name, how many percent "
           "of all values lie inside (default: %(default)s)")  # fmt: skip


def run(arguments: argparse.Namespace) -> int:
    """Measure, keep the tables for the engines of this machine, and show them."""
    if not 0 < arguments.percentile <= 100:
        raise ConfigurationError(f"--percentile: expected more than 0 and at most 100, found {arguments.percentile}")
    console, files = Console(), FileCache()
    with console.status("reading or simulating clouds") as status:
        folder = find_bundle(arguments.bundle)
        clouds, source = read_clouds(arguments, read_any_description(BundleFiles(folder, DESCRIPTION_FILE)))
        status.update(f"running the bundle on {len(clouds)} clouds")
        tables = calibrate_bundle(folder, clouds, arguments.method, arguments.percentile, files)
    console.print(_shown(tables, f"Ranges of {folder.name} on {source}"))
    console.print(f"kept in {files.folder}; 'precision: int8' in the file that ${SETTINGS_VARIABLE} names uses them")
    return 0


def _shown(tables: Mapping[str, RangeTable], title: str) -> Table:
    shown = Table("region", "tensor", "largest magnitude", title=title, title_justify="left", box=None)
    for file, table in tables.items():
        for number, (name, limit) in enumerate(table.limits.items()):
            shown.add_row("" if number else file, name, f"{limit:.4g}")
    return shown
