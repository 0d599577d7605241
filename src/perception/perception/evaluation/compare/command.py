"""`perception compare A.json B.json`: what changed between two evaluations, and what of it may be chance."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from perception.configuration import ConfigurationError
from perception.evaluation.compare.comparison import Resampling, compare_runs, measured
from perception.evaluation.compare.resampling import BLOCK_FRAMES, RESAMPLES
from perception.evaluation.compare.runs import read_run
from perception.evaluation.compare.table import print_comparison
from perception.evaluation.gates import GRAMMAR, check_gates, parse_gates


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.add_argument("first", type=Path, help="metrics.json of an evaluation, or its folder")
    parser.add_argument("second", type=Path, help="of another; verdicts are about this one")
    parser.add_argument(
        "--models", action="append", default=[], metavar="A:B", help="a network of the first and one of the second run"
    )
    parser.add_argument("--all", action="store_true", help="print stages, bands and resources too")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every difference")
    parser.add_argument("--block-frames", type=_from(1), default=BLOCK_FRAMES, help="consecutive frames drawn together")
    parser.add_argument("--resamples", type=_from(0), default=RESAMPLES, help="0: no intervals")
    parser.add_argument(
        "--fail-if",
        action="append",
        default=[],
        metavar="CONDITION",
        help=f'exit with 1 on "{GRAMMAR}", such as "delta.mAP < -0.01 significant"; more than one may be given',
    )


def run(arguments: argparse.Namespace) -> int:
    """Read, compare, print, check."""
    gates = parse_gates(arguments.fail_if)
    pairs = [_pair(words) for words in arguments.models]
    how = Resampling(arguments.block_frames, arguments.resamples)
    with Console(stderr=True).status("reading frames") as status:
        first, second = read_run(arguments.first), read_run(arguments.second)
        status.update("resampling")
        results = compare_runs(first, second, pairs, how)
    if arguments.json:
        arguments.json.write_text(results.model_dump_json(indent=1) + "\n")
    print_comparison(Console(), results, arguments.all)
    failed = check_gates(gates, measured(results))
    for line in failed:
        print(f"failed: {line}", file=sys.stderr)
    return 1 if failed else 0


def _pair(words: str) -> tuple[str, str]:
    first, separator, second = words.partition(":")
    if not (first and separator and second):
        raise ConfigurationError(f"--models {words}: expected two names such as old:new")
    return first, second


def _from(least: int) -> Callable[[str], int]:
    """A whole number of at least so much."""

    def number(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(f"expected a whole number from {least} on, got {text}")
        return int(text)

    return number
