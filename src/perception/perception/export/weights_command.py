"""`perception weights import FILE --model MODEL --out FOLDER`: a published checkpoint becomes a bundle."""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path
from typing import Any

from rich.console import Console

from perception.bundle.detection import FlatFormerSettings
from perception.bundle.format import WEIGHTS_FILE
from perception.configuration import ConfigurationError
from perception.export.exporter import Source, export_network
from perception.export.weights_report import describe_network, print_facts, print_mismatch
from perception.export.weights_values import (
    OBJECT_CLASSES,
    OFFICIAL_VOXEL_SIZE_M,
    POINT_CLASSES,
    ClassNames,
    choose_classes,
    describe_published,
)
from perception.models.checkpoints import load_weights, read_tensors
from perception.models.net_config import choose_network
from perception.models.published import MODELS, Published, advise, build_published, recognise

#: Networks whose every layer is scaled alike.
SCALED = ("minkunet", "spvcnn")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    commands = parser.add_subparsers(dest="weights_command", metavar="COMMAND", required=True)
    what = "check a published checkpoint and make a bundle of it"
    importer = commands.add_parser("import", help=what, description=f"{what}; nothing in it is executed")
    option = importer.add_argument
    option("file", type=Path, help="PyTorch checkpoint or .safetensors")
    option("--model", required=True, choices=list(MODELS), help="minkunet and spvcnn have the same names and shapes: "
           "only the publisher tells which one it is")  # fmt: skip
    option("--out", type=Path, metavar="FOLDER", help="where the bundle goes")
    option("--check", action="store_true", help="only check; write nothing")
    option("--width", type=float, help="of minkunet and spvcnn; read off the shapes by default")
    option("--net-config", type=Path, metavar="FILE", help="the net.config beside an spvnas checkpoint: cuts that "
           "network out of the super-network, or makes sure that a specialised one is it")  # fmt: skip
    option("--classes", choices=[*POINT_CLASSES, *OBJECT_CLASSES], help="told by their number by default")
    option("--voxel-size-m", type=float, metavar="M", help="of networks that label points; default: "
           f"{OFFICIAL_VOXEL_SIZE_M}")  # fmt: skip
    option("--half", action="store_true", help="store weights in half precision, in half the space")
    option("--name", help="of the bundle; the folder's by default")
    option("--license", default="unknown", help="of the weights, as their publisher states it")
    option("--origin", help="where the weights come from, such as their address")


def run(arguments: argparse.Namespace) -> int:
    """Check the checkpoint and write its bundle."""
    _check_options(arguments)
    console = Console()
    with console.status(f"reading {arguments.file}"):
        tensors = read_tensors(arguments.file)
        published = recognise(tensors, arguments.model, arguments.width)
        if arguments.net_config and not published.mismatch:
            published = choose_network(published, arguments.net_config)
    if published.mismatch:
        print_mismatch(console, published.mismatch)
        raise ConfigurationError(f"{arguments.file}: does not fit {arguments.model}; {advise(tensors, published)}")
    classes = choose_classes(published, arguments.file, arguments.classes)
    values = describe_published(published, classes, arguments.file, arguments.voxel_size_m)
    print_facts(console, _facts(arguments.file, published, classes))
    if not arguments.check:
        with console.status(f"writing {arguments.out}"):
            facts = _write(arguments, published, values)
        print_facts(console, facts)
    return 0


def _check_options(arguments: argparse.Namespace) -> None:
    if arguments.out is None and not arguments.check:
        raise ConfigurationError("say where the bundle goes with --out FOLDER, or --check to only check")
    if arguments.model not in SCALED and arguments.width is not None:
        raise ConfigurationError(
            f"--width is for minkunet and spvcnn; the widths of {arguments.model} are read off the shapes"
        )
    if arguments.model == "flatformer" and arguments.voxel_size_m is not None:
        raise ConfigurationError("--voxel-size-m is for networks that label points; flatformer has pillars of 0.32 m")
    if arguments.model != "spvnas" and arguments.net_config:
        raise ConfigurationError("--net-config is for spvnas; give --width, or nothing, for the other networks")
    if arguments.width is not None and not 0.01 <= arguments.width <= 16:
        raise ConfigurationError(
            f"--width {arguments.width:g}: expected 0.01 to 16; the official networks have 0.5 or 1"
        )


def _facts(file: Path, published: Published, classes: ClassNames) -> list[tuple[str, str]]:
    values = sum(tensor.numel() for tensor in published.tensors.values() if tensor.is_floating_point())
    facts = [
        ("checkpoint", f"{file} ({file.stat().st_size / 1e6:.1f} MB)"),
        ("network", describe_network(published.settings)),
        ("tensors", f"{len(published.tensors)}, {values / 1e6:.2f} million values; every name and shape fits"),
        ("classes", f"{len(classes.names)} of {classes.name}: {', '.join(classes.names)}"),
    ]
    if isinstance(published.settings, FlatFormerSettings):
        facts.append(
            ("points", "with elongation beside intensity; the network gets their tanh, as in Waymo's training")
        )
    return facts


def _write(arguments: argparse.Namespace, published: Published, values: dict[str, Any]) -> list[tuple[str, str]]:
    digest = hashlib.sha256(arguments.file.read_bytes()).hexdigest()
    source = f"perception weights import of {arguments.file.name} (sha256 {digest})"
    values |= {
        "name": arguments.name or arguments.out.resolve().name,
        "license": arguments.license,
        "origin": f"{arguments.origin}; {source}" if arguments.origin else source,
    }
    network = build_published(published.settings, published.classes)
    load_weights(network, published.tensors, arguments.file)
    exported = export_network(Source(network, values, arguments.half), arguments.out)
    size, compared = (arguments.out / WEIGHTS_FILE).stat().st_size, exported.comparison
    return [
        ("licence", arguments.license),
        ("compared", f"{compared.output} differ from PyTorch's by {compared.scores.error:.1e} of the largest"),
        ("bundle", f"{arguments.out} ({size / 1e6:.1f} MB)"),
        ("next", f"perception bringup models:={arguments.out} input/pointcloud:=TOPIC"),
    ]
