"""`perception benchmark BUNDLE`: how fast a bundle runs here, stage by stage."""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console
from rich.progress import track

from perception.bundle.loading import load_bundle
from perception.configuration import ConfigurationError
from perception.evaluation.benchmark.measure import run_repeatedly, summarize_samples, warm_up
from perception.evaluation.benchmark.report import Benchmark, print_benchmark
from perception.evaluation.cloud_options import add_cloud_options, costs_on, read_clouds
from perception.evaluation.machine import describe_machine
from perception.ops import default_threads
from perception.paths import find_bundle
from perception.runtime.engine import NATIVE_ENGINES


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    option = parser.add_argument
    option("bundle", help="a bundle: its folder, or its name in config/models")
    add_cloud_options(parser)
    option("--device", default="cpu", help="cpu, cuda, or cuda:N for the GPU number N (default: %(default)s)")
    option("--threads", type=int, metavar="N", help="CPU threads (default: OMP_NUM_THREADS, else every core)")
    option("--repeats", type=int, default=20, metavar="N", help="frames to time (default: %(default)s)")
    option("--warm-up", type=int, default=3, metavar="N", help="frames before those (default: %(default)s)")
    option("--per-operation", action="store_true", help="show every operation of the graph as well")
    option("--out", type=Path, metavar="FILE", help="write all figures as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Run the bundle, print what was found."""
    _check(arguments)
    console = Console()
    threads = default_threads() if arguments.threads is None else arguments.threads
    with console.status("reading the bundle") as status:
        bundle = load_bundle(find_bundle(arguments.bundle))
        engine = NATIVE_ENGINES[bundle.description.task](bundle.folder, bundle.description, arguments.device, threads)
        status.update("reading or simulating clouds")
        clouds, source = read_clouds(arguments, bundle.description)
        costs = [costs_on(bundle, cloud, threads, source) for cloud in clouds]
        status.update("warming up")
        warm_up(engine, clouds, arguments.warm_up)
    rounds = track(range(arguments.repeats), "timing", console=console, transient=True)
    samples = run_repeatedly(engine, clouds, rounds, on_gpu=arguments.device != "cpu")
    engine.close()
    figures = summarize_samples(bundle.graph, samples, costs)
    benchmark = Benchmark(bundle.description, arguments.device, threads, describe_machine(), source, costs, figures)
    print_benchmark(console, benchmark, arguments.per_operation)
    if arguments.out:
        _write(arguments.out, benchmark.to_json())
        console.print(f"written to {arguments.out}", style="dim", soft_wrap=True, highlight=False)
    return 0


def _check(arguments: argparse.Namespace) -> None:
    """Refuse what cannot work before anything is read."""
    for name, lowest in (("threads", 1), ("repeats", 1), ("warm_up", 0)):
        value = getattr(arguments, name)
        if value is not None and value < lowest:
            raise ConfigurationError(f"--{name.replace('_', '-')}: expected {lowest} or more, found {value}")
    if arguments.out and not arguments.out.absolute().parent.is_dir():
        raise ConfigurationError(f"--out {arguments.out}: there is no folder {arguments.out.absolute().parent}")


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text)
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be written ({error.strerror or error})") from None
