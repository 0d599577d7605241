"""The bags that an evaluation writes: what was given to the networks, what is true, and what they found."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

from perception.data.recorded_drive import RecordedDrive
from perception.data.result_bag import ResultBag
from perception.evaluation.models import EvaluatedModel
from perception.evaluation.outcomes import FrameOutcome


class ResultBags:
    """Writes a bag for each drive as its outcomes come, in place of an earlier run's; all are whole when it is left.

    Args:
        folder: where the bags go, each under its drive's name.
        drives: what is evaluated; a bag is read once more, along with the outcomes.
        models: the networks.
    """

    def __init__(self, folder: Path, drives: Sequence[RecordedDrive], models: Sequence[EvaluatedModel]) -> None:
        self._folder = folder
        self._drives = {drive.name: drive for drive in drives}
        self._colors = {
            model.name: dict(zip(model.description.classes, model.description.colors, strict=True)) for model in models
        }
        self._bags: dict[str, ResultBag] = {}
        self._stack = ExitStack()

    def __enter__(self) -> ResultBags:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def add(self, outcome: FrameOutcome) -> None:
        """Write one outcome into the bag of its drive."""
        name = outcome.bag
        if name not in self._bags:
            bag = ResultBag(self._folder / name, self._drives[name], self._colors, overwrite=True)
            self._bags[name] = self._stack.enter_context(bag)
        self._bags[name].add(outcome.index, outcome.frame, outcome.model, outcome.result)
