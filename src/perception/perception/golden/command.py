"""`perception check-golden DIR...`: do the networks compute what the official implementations computed?"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from perception.configuration import ConfigurationError
from perception.golden.cases import GoldenCase, find_cases
from perception.golden.checks import Check
from perception.golden.executions import EXECUTIONS, Execution
from perception.golden.registry import RUNNERS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.add_argument("folders", type=Path, nargs="+", metavar="DIR", help="every case below is run")
    parser.add_argument("--backend", choices=EXECUTIONS, default="cpu", help="what computes (default: cpu)")
    parser.add_argument("--shared", type=Path, default=Path("../shared"), help="folder whose data/ some cases use")
    parser.add_argument("--known-only", action="store_true", help="skip cases of models that are not known yet")


def run(arguments: argparse.Namespace) -> int:
    """Run every case; exit code 1 if an output misses."""
    console = Console(highlight=False, soft_wrap=True)
    cases = find_cases(arguments.folders, arguments.shared)
    cases = known_cases(cases, arguments.known_only, console)
    execution = EXECUTIONS[arguments.backend]()
    results = {case.folder: (case, check_case(case, execution, console)) for case in cases}
    console.print(summary(list(results.values()), arguments.backend))
    return int(any(not check.passed for _, checks in results.values() for check in checks))


def known_cases(cases: Sequence[GoldenCase], known_only: bool, console: Console) -> list[GoldenCase]:
    """Leave out the cases of models that are not known, if that is wanted.

    Raises:
        ConfigurationError: there is such a case, and it is not wanted.
    """
    unknown = [case for case in cases if case.spec.kind not in RUNNERS]
    if unknown and not known_only:
        raise ConfigurationError(
            f"{unknown[0].folder}: the model '{unknown[0].spec.kind}' is not known yet (known: "
            f"{', '.join(sorted(RUNNERS))}); skip such cases with --known-only"
        )
    for case in unknown:
        console.print(f"{case.name}: skipped, the model '{case.spec.kind}' is not known yet", markup=False)
    return [case for case in cases if case.spec.kind in RUNNERS]


def check_case(case: GoldenCase, execution: Execution, console: Console) -> list[Check]:
    """Run one case and print a line for each of its outputs, in the order of the network's stages.

    Raises:
        ConfigurationError: the case lacks what its model needs.
    """
    console.print(f"[bold]{case.name}[/bold] ({case.spec.kind})")
    checks = []
    try:
        for check in RUNNERS[case.spec.kind](case, execution):
            verdict = "[green]ok[/green]" if check.passed else "[bold red]MISS[/bold red]"
            console.print(f"  {check.name:<24} {check.error:9.2e}  tolerance {check.tolerance:7.0e}  {verdict}")
            checks.append(check)
    except (KeyError, IndexError, TypeError) as error:
        raise ConfigurationError(f"{case.folder}: an entry of this case is missing or wrong ({error})") from error
    if not checks:
        raise ConfigurationError(f"{case.folder}: holds none of the outputs that {case.spec.model} computes")
    return checks


def summary(results: Sequence[tuple[GoldenCase, Sequence[Check]]], backend: str) -> str:
    """One sentence: that all is well, or the first stage of each case that is not."""
    firsts = [(case, next((check for check in checks if not check.passed), None)) for case, checks in results]
    missed = [f"{case.name} first misses at {check.name} ({check.error:.1e})" for case, check in firsts if check]
    if missed:
        return f"{len(missed)} of {len(results)} cases miss on {backend}: {'; '.join(missed)}."
    outputs = sum(len(checks) for _, checks in results)
    return f"All {outputs} outputs are within their tolerances on {backend} (cases: {len(results)})."
