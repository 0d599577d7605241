"""Differences of two evaluations, and what of them may be chance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, NamedTuple

import numpy as np
import pydantic

from perception.configuration import ConfigurationError, Settings
from perception.evaluation.compare.notes import UNPAIRED, notes_on_models, notes_on_runs
from perception.evaluation.compare.resampling import BLOCK_FRAMES, RESAMPLES, draw_weights, interval
from perception.evaluation.compare.runs import Run
from perception.evaluation.compare.samples import ModelSamples
from perception.evaluation.figures import figures_of, less_is_better
from perception.evaluation.gates import CHANGES, Measured
from perception.evaluation.results import ModelResults

Verdict = Literal["better", "worse", "no difference", "not tested", "unknown"]


class Resampling(NamedTuple):
    """How intervals are made."""

    block_frames: int = BLOCK_FRAMES
    resamples: int = RESAMPLES
    seed: int = 0


class Difference(Settings):
    """One figure in both evaluations.

    Attributes:
        first, second: None where it is not known.
        difference: second less first.
        relative: the difference as a share of the first.
        low, high: 95 % interval of the difference; None where it was not resampled.
        verdict: of the second; no difference where the interval holds 0, not tested where there is none.
    """

    first: float | None
    second: float | None
    difference: float | None = None
    relative: float | None = None
    low: float | None = None
    high: float | None = None
    verdict: Verdict = "unknown"

    @property
    def significant(self) -> bool | None:
        """Whether the interval leaves 0 out."""
        return None if self.low is None or self.high is None else not self.low <= 0 <= self.high


class ModelComparison(Settings):
    """One network in both evaluations.

    Attributes:
        first, second: its name there.
        paired: whether both saw the same frames, and were resampled together; None without intervals.
        figures: by the names in `perception.evaluation.figures`.
    """

    first: str
    second: str
    paired: bool | None
    figures: dict[str, Difference]


class ComparisonResults(Settings):
    """Everything in `--json`."""

    format: Annotated[int, pydantic.Field(ge=1, le=1)] = 1
    first: str
    second: str
    block_frames: int
    resamples: int
    seed: int
    models: tuple[ModelComparison, ...]
    #: Sentences about what the figures do not say.
    notes: tuple[str, ...]


def compare_runs(first: Run, second: Run, pairs: Sequence[tuple[str, str]], how: Resampling) -> ComparisonResults:
    """Compare two evaluations.

    Args:
        first: the run before.
        second: the run after.
        pairs: names of networks in the first and the second; where there are none, those of the same name.
        how: the resampling.

    Raises:
        ConfigurationError: there is no such network, or none that is in both.
    """
    matched = match_models(first, second, pairs)
    models = [_compare_models(first, one, second, other, how) for one, other in matched]
    return ComparisonResults(
        first=str(first.path),
        second=str(second.path),
        block_frames=how.block_frames,
        resamples=how.resamples,
        seed=how.seed,
        models=tuple(models),
        notes=(
            *notes_on_runs(first, second),
            *notes_on_models(matched),
            *((UNPAIRED,) if any(model.paired is False for model in models) else ()),
        ),
    )


def measured(results: ComparisonResults) -> dict[str, dict[str, Measured]]:
    """Give what conditions are checked on: figures of the second evaluation, and changes, by its networks."""
    found: dict[str, dict[str, Measured]] = {}
    for model in results.models:
        of_model = found.setdefault(model.second, {})
        for name, one in model.figures.items():
            of_model[name] = Measured(one.second)
            for prefix, value in zip(CHANGES, (one.difference, one.relative), strict=True):
                of_model[prefix + name] = Measured(value, one.significant)
    return found


def match_models(first: Run, second: Run, pairs: Sequence[tuple[str, str]]) -> list[tuple[ModelResults, ModelResults]]:
    """Say which network is compared with which; errors as in `compare_runs`."""
    ones, others = ({model.name: model for model in run.results.models} for run in (first, second))
    if not pairs:
        pairs = [(name, name) for name in ones if name in others]
    if not pairs and len(ones) == len(others) == 1:
        pairs = list(zip(ones, others, strict=True))
    for column, (run, known) in enumerate([(first, ones), (second, others)]):
        for name in [pair[column] for pair in pairs]:
            if name not in known:
                raise ConfigurationError(f"{run.path}: no network '{name}' (there are: {', '.join(known)})")
    if not pairs:
        raise ConfigurationError(
            f"no network is in both ({', '.join(ones)}; {', '.join(others)}): say with --models A:B which to compare"
        )
    return [(ones[one], others[other]) for one, other in pairs]


def _compare_models(
    first: Run, one: ModelResults, second: Run, other: ModelResults, how: Resampling
) -> ModelComparison:
    samples = first.samples.get(one.name), second.samples.get(other.name)
    intervals: Mapping[str, tuple[float, float]] = {}
    paired = None
    if samples[0] is not None and samples[1] is not None and samples[0].keys and samples[1].keys:
        paired = samples[0].keys == samples[1].keys
        intervals = _intervals(samples[0], samples[1], paired, how)
    before, after = figures_of(one), figures_of(other)
    figures = {
        name: _difference(name, before.get(name), after.get(name), intervals.get(name)) for name in {**before, **after}
    }
    return ModelComparison(first=one.name, second=other.name, paired=paired, figures=figures)


def _intervals(
    first: ModelSamples, second: ModelSamples, paired: bool, how: Resampling
) -> dict[str, tuple[float, float]]:
    """Intervals of the differences of all figures that both have."""
    random = np.random.default_rng(how.seed)
    differences: dict[str, list[float]] = {}
    for _ in range(how.resamples):
        weights = draw_weights(first.bag_frames, how.block_frames, random)
        others = weights if paired else draw_weights(second.bag_frames, how.block_frames, random)
        before, after = first.figures(weights), second.figures(others)
        for name in before.keys() & after.keys():
            differences.setdefault(name, []).append(after[name] - before[name])
    found = {name: interval(values) for name, values in differences.items()}
    return {name: one for name, one in found.items() if one is not None}


def _difference(
    name: str, first: float | None, second: float | None, between: tuple[float, float] | None
) -> Difference:
    if first is None or second is None:
        return Difference(first=first, second=second)
    difference = second - first
    low, high = between or (None, None)
    found = Difference(
        first=first,
        second=second,
        difference=difference,
        relative=difference / abs(first) if first else None,
        low=low,
        high=high,
    )
    if not found.significant:
        return found.model_copy(update={"verdict": "not tested" if found.significant is None else "no difference"})
    better = (difference < 0) == less_is_better(name)
    return found.model_copy(update={"verdict": "better" if better else "worse"})
