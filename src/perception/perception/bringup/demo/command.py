"""Simulate drives, send them through the real graph, compare with the truth, and report."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from PIL import Image
from rich.console import Console

from perception.bringup.demo.detection import detect_all, find_detector, with_detections
from perception.bringup.demo.drives import drive_bag, scan_bag, simulate
from perception.bringup.demo.evaluate import PlayedDrive, report_inputs
from perception.bringup.demo.graph import Graph, running_graph
from perception.bringup.demo.settings import DemoSettings
from perception.bringup.demo.summary import print_summary
from perception.bringup.graph.children import GraphError, tail
from perception.bundle.format import BundleDescription, load_description
from perception.evaluation.report.demo_writing import ReportInputs, write_report
from perception.evaluation.report.detection_pictures import detection_sheet
from perception.evaluation.report.panels import compose_sheet
from perception.paths import find_bundle

#: A best-effort subscriber may miss a bag's very first cloud; a scan is the only one in its bag.
SCAN_ATTEMPTS = 3
#: Columns where there is no terminal to ask.
LOG_WIDTH = 120


def run_demo(settings: DemoSettings) -> int:
    """Run the whole demo; 0 when frames came out, 1 when the graph failed or nothing came out."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = LOG_WIDTH
    try:
        folder = find_bundle(settings.bundle)
        bundle = load_description(folder)
        detector = find_detector(settings.detector) if settings.detector else None
        for directory in (settings.drives, settings.logs):
            directory.mkdir(parents=True, exist_ok=True)
        bags = make_drives(settings, console)
        real = scan_bag(settings.drives, settings.scan, settings.labels) if settings.scan else None
        drives, scan = play_all(settings, bundle, folder, bags, real, console)
        detected = detect_all(detector, settings, bags, real, console) if detector else None
        with console.status("judging"):
            inputs = report_inputs(settings, bundle, drives, scan)
            inputs = inputs if detected is None else with_detections(inputs, detected)
            report = write_report(settings.out, inputs)
            write_pictures(settings.out, inputs)
    except GraphError as error:
        print(f"perception demo: {error}", file=sys.stderr)
        return 1
    if settings.verbose:
        quote_logs(settings.logs, console)
    print_summary(console, inputs.results, report)
    if not inputs.results.frames.out:
        print(
            f"perception demo: no frame came out\n{tail(settings.logs / 'bringup_segmentation.log')}", file=sys.stderr
        )
        return 1
    return 0


def make_drives(settings: DemoSettings, console: Console) -> dict[int, Path]:
    """Simulate the drives that are not there yet; seed -> bag."""
    bags = {seed: drive_bag(settings.drives, settings.sensor, seed, settings.duration_s) for seed in settings.seeds}
    missing = {seed: bag for seed, bag in bags.items() if not bag.exists()}
    if not missing:
        console.print(f"drives: seeds {', '.join(map(str, bags))} are in {settings.drives}")
        return bags
    with console.status(f"simulating drives, seeds {', '.join(map(str, missing))}"):
        simulate(missing, settings.sensor, settings.duration_s, settings.logs)
    console.print(f"drives: seeds {', '.join(map(str, missing))} simulated into {settings.drives}")
    return bags


def play_all(
    settings: DemoSettings,
    bundle: BundleDescription,
    folder: Path,
    bags: dict[int, Path],
    real: Path | None,
    console: Console,
) -> tuple[list[PlayedDrive], PlayedDrive | None]:
    """Bring the graph up, play every bag through it, and compare what comes out with the truth."""
    with console.status("bringing the graph up") as status, running_graph(str(folder), settings.logs) as graph:
        drives = []
        for seed, bag in bags.items():
            status.update(f"replaying seed {seed} at {settings.rate_hz:g} Hz")
            recording = graph.play(bag, settings.rate)
            status.update(f"comparing seed {seed} with the truth")
            drives.append(
                PlayedDrive.judge(
                    f"Simulated drive, seed {seed}: the frame of median accuracy", bag, recording, bundle.classes
                )
            )
        scan = None
        if real is not None:
            status.update("replaying the real scan")
            scan = play_scan(graph, real, bundle.classes)
    console.print(f"graph: {len(drives)} drives replayed at {settings.rate_hz:g} Hz, ended cleanly")
    return drives, scan


def play_scan(graph: Graph, bag: Path, classes: Sequence[str]) -> PlayedDrive:
    """Send the real scan through the graph.

    Raises:
        GraphError: it did not come out.
    """
    for _ in range(SCAN_ATTEMPTS):
        recording = graph.play(bag, 1.0)
        if recording.frames:
            return PlayedDrive.judge("A real scan (SemanticKITTI)", bag, recording, tuple(classes))
    raise graph.bringup.failure(f"the real scan did not come out: {dict(recording.dropped_by_reason)}")


def write_pictures(out: Path, inputs: ReportInputs) -> None:
    """Write each drawn frame as a picture of its own, for a README or a talk."""
    folder = out / "pictures"
    folder.mkdir(exist_ok=True)
    sheets = {f"drive_{index + 1}": compose_sheet(scan) for index, scan in enumerate(inputs.scans)}
    if inputs.real_scan is not None:
        sheets["real_scan"] = compose_sheet(inputs.real_scan)
    sheets |= {f"objects_{index + 1}": detection_sheet(scan) for index, scan in enumerate(inputs.detections)}
    for name, sheet in sheets.items():
        # A third of the size; the octree keeps colours of few points, which a median cut merges into others.
        small = sheet.quantize(256, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
        small.save(folder / f"{name}.png", optimize=True)


def quote_logs(logs: Path, console: Console) -> None:
    """Print what every child process said."""
    for log in sorted(logs.glob("*.log")):
        console.print(f"[bold]{log}[/bold]")
        console.print(log.read_text(errors="replace"), markup=False)
