"""Simulate drives, send them through the real graph, compare with the truth, and report."""

from __future__ import annotations

import sys
from pathlib import Path

from rich.console import Console

from perception.bringup.demo.drives import SCAN_COPIES, drive_bag, scan_bag, simulate
from perception.bringup.demo.evaluation import NOTES, SCAN_NOTE, evaluate_drives, find_networks, real_scan
from perception.bringup.demo.settings import DemoSettings
from perception.bringup.demo.summary import print_summary
from perception.bringup.graph.children import GraphError, tail
from perception.data.recorded_drive import RecordedDrive
from perception.evaluation.run import Evaluated

#: Columns where there is no terminal to ask.
LOG_WIDTH = 120


def run_demo(settings: DemoSettings) -> int:
    """Run the whole demo; 0 when frames came out, 1 when the graph failed or nothing came out.

    After a signal it reports what was done by then, and gives 128 and the signal's number.
    """
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = LOG_WIDTH
    models = find_networks(settings)
    try:
        drives, scan = prepare(settings, console)
        notes = [*NOTES, *([SCAN_NOTE.format(name=scan.name, copies=SCAN_COPIES)] if scan else [])]
        evaluated = evaluate_drives(settings, models, drives, notes, console)
    except GraphError as error:
        print(f"perception demo: {error}", file=sys.stderr)
        return 1
    if settings.verbose:
        quote_logs(settings.logs, console)
    real = real_scan(settings, models[0], scan.name) if scan else None
    print_summary(console, settings, evaluated.results, evaluated.report, real)
    return exit_code(settings, evaluated)


def prepare(settings: DemoSettings, console: Console) -> tuple[list[RecordedDrive], RecordedDrive | None]:
    """Make the drives that are not there yet, and a bag of the real scan if there is one: also the last drive."""
    for directory in (settings.drives, settings.logs):
        directory.mkdir(parents=True, exist_ok=True)
    drives = [RecordedDrive(bag) for bag in make_drives(settings, console).values()]
    if settings.scan is None:
        return drives, None
    scan = RecordedDrive(scan_bag(settings.drives, settings.scan, settings.labels))
    return [*drives, scan], scan


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


def exit_code(settings: DemoSettings, evaluated: Evaluated) -> int:
    """Give the code of the command, and say why where it is not 0."""
    if evaluated.signal:
        return 128 + evaluated.signal
    if evaluated.problem:
        print(f"perception demo: {evaluated.problem}", file=sys.stderr)
        return 1
    for model in evaluated.results.models:
        if not model.frames.out:
            log = settings.logs / model.task / "bringup.log"
            print(f"perception demo: no frame came out of {model.name}\n{tail(log)}", file=sys.stderr)
            return 1
    return 0


def quote_logs(logs: Path, console: Console) -> None:
    """Print what every child process said."""
    for log in sorted(logs.rglob("*.log")):
        console.print(f"[bold]{log}[/bold]")
        console.print(log.read_text(errors="replace"), markup=False)
