"""Refusing bundles that do not compute what PyTorch computes."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from perception.bundle.format import CommonDescription
from perception.bundle.loading import load_bundle
from perception.configuration import ConfigurationError
from perception.export.comparison import Comparer, Comparison, Difference, Recorded, torch_inputs, use
from perception.export.precision import Limits, Loss
from perception.export.tracing import TracedNetwork
from perception.runtime import StageTimer
from perception.runtime.native import load_executor

#: A record runs the same functions on the same numbers; only their order in memory may differ.
RECORD_LIMIT = 1e-5


def verify(
    folder: Path,
    recorded: Recorded,
    twins: Mapping[str, Hashable],
    clouds: Iterable[NDArray[np.float32]],
    limits: Limits,
    progress: Callable[[str], None] = lambda _: None,
) -> Comparison:
    """Load a bundle as a robot does, and use it on clouds beside PyTorch.

    Args:
        folder: the bundle.
        recorded: its network.
        twins: value of its graph -> step of the record.
        clouds: float32 [N, C].
        limits: how far the two may be apart.
        progress: told what is being done.

    Raises:
        ConfigurationError: they are further apart; names the first stage and value that are.
    """
    bundle = load_bundle(folder)
    executor = load_executor(bundle)
    comparer = Comparer(executor, recorded, twins, bundle.description)
    try:
        for number, cloud in enumerate(clouds, 1):
            progress(f"comparing the bundle with PyTorch, cloud {number}")
            comparer.add(cloud)
    finally:
        executor.close()
    check(comparer.result, limits)
    return comparer.result


def check_record(traced: TracedNetwork, description: CommonDescription, cloud: NDArray[np.float32]) -> None:
    """Make sure that a record computes what its network computes.

    Raises:
        ConfigurationError: it does not: the network decides in Python what to do with its input.
    """
    difference = Difference()

    def compute(inputs: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
        given = tuple(torch_inputs(inputs))
        *_, (_, recorded) = traced.values(*given)
        with torch.inference_mode():
            plain = np.asarray(traced.network(*given))
        if not np.array_equal(recorded, plain, equal_nan=True):
            difference.add(np.asarray(recorded), plain)
        return plain

    use(compute, description)(cloud, StageTimer())
    if difference.error > RECORD_LIMIT:
        raise ConfigurationError(
            f"{type(traced.network).__name__}: its record differs by {difference.error:.1e} from what it computes; "
            "take decisions that depend on the input out of its forward functions"
        )


def check(result: Comparison, limits: Limits) -> None:
    """Refuse an execution that is further from PyTorch than is allowed; see `verify`."""
    value = result.first_beyond(limits.values)
    loss = Loss(result.scores.error, result.agreement)
    if value is None and limits.allow(loss):
        return
    value = value or result.first_beyond(limits.error)
    if value is None:
        raise ConfigurationError(
            f"the {result.output} differ from PyTorch's by {loss.error:.1e} (at most {limits.error:.0e}), and "
            f"{loss.agreement:.2%} of the {result.unit} are the same (at least {limits.agreement:.1%}); "
            "nothing was written"
        )
    maker, error = result.makers[value], result.values[value].error
    advice = "" if maker.dtype == "float32" else "; try --precision auto"
    raise ConfigurationError(
        f"stage '{maker.stage}': '{maker.name}' ({maker.op}) is the first to differ from PyTorch, by {error:.1e} of "
        f"its largest value ({result.output} by {loss.error:.1e}, {loss.agreement:.2%} of the {result.unit} are the "
        "same); "
        f"nothing was written{advice}"
    )
