"""The training loop: batches in, checkpoints, a CSV log and a progress bar out."""

from __future__ import annotations

import copy
import csv
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from torch import nn

from perception.training.batch import Batch
from perception.training.batches import AnySettings, make_batch, prefetched, samples_of_part
from perception.training.clouds import LabelledPoints
from perception.training.settings import AugmentationSettings
from perception.training.tensorboard import TensorBoardLog
from perception.training.trainer import StepResult, Trainer

CHECKPOINT_FILE = "checkpoint.pt"
LOG_FILE = "log.csv"
#: Of the averages that the progress bar and the log show.
SMOOTHING = 0.95
#: How many figures are shown where there is little room.
SHOWN_FIGURES = 6
#: How many batches statistics are measured on, where a network needs that.
CALIBRATION_BATCHES = 16


def train(
    trainer: Trainer,
    clouds: Sequence[LabelledPoints],
    validation: Sequence[LabelledPoints],
    folder: Path,
    console: Console,
) -> None:
    """Train to the last step; checkpoints and the log go to `folder`, written by the leading process."""
    settings = trainer.settings
    log = TrainingLog(folder, trainer) if trainer.group.leads else None
    jobs = [
        samples_of_part(step, part, trainer.learner.parts, settings.batch_size)
        for step in range(trainer.step, settings.steps)
        for part in trainer.own_parts
    ]
    batches = prefetched(jobs, clouds, settings)
    with _progress(console, trainer.group.leads) as progress:
        task = progress.add_task("training", total=settings.steps, completed=trainer.step, loss=math.nan, figures="")
        while trainer.step < settings.steps:
            result = trainer.advance([next(batches) for _ in trainer.own_parts])
            last = trainer.step == settings.steps
            if log:
                log.add(trainer, result)
                progress.update(task, advance=1, loss=log.loss, figures=log.in_words())
                if trainer.step % settings.validate_every == 0 and not last:
                    validated = trainer.learner.figures_of(validate(trainer, clouds, validation, quick=True))
                    console.print(f"step {trainer.step}: loss {log.loss:.3f}, validation {_in_words(validated)}")
                    log.write(trainer, validated)
                if trainer.step % settings.checkpoint_every == 0 or last:
                    trainer.save(folder / CHECKPOINT_FILE)
                    log.write(trainer)
            if trainer.step % settings.validate_every == 0 or last:
                trainer.group.wait()
    if log:
        log.close()


def validate(
    trainer: Trainer, clouds: Sequence[LabelledPoints], validation: Sequence[LabelledPoints], quick: bool = False
) -> Any:
    """Evaluate the averaged weights on the validation clouds; `clouds` are those of the training."""
    return trainer.learner.evaluate(deployed_network(trainer, clouds), validation, quick)


def deployed_network(trainer: Trainer, clouds: Sequence[LabelledPoints]) -> nn.Module:
    """The network to ship, on the CPU: the averaged weights, with what it needs of the training clouds."""
    average = copy.deepcopy(trainer.average).cpu()
    return trainer.learner.deployed(average, calibration_batches(clouds, trainer.settings))


def calibration_batches(clouds: Sequence[LabelledPoints], settings: AnySettings) -> Iterator[Batch]:
    """Training clouds as they are, a few of them spread over all, to measure statistics on."""
    plain = AugmentationSettings(scale=0, jitter_m=0, drop=0, intensity_scale=0, intensity_shift=0)
    unchanged = settings.model_copy(update={"augmentation": plain})
    for number in range(CALIBRATION_BATCHES):
        yield make_batch(range(number * settings.batch_size, (number + 1) * settings.batch_size), clouds, unchanged)


class TrainingLog:
    """Running averages of the loss and the learner's figures, and the CSV and TensorBoard files they are written to."""

    def __init__(self, folder: Path, trainer: Trainer) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._file = folder / LOG_FILE
        self._curves = TensorBoardLog(folder, trainer.step)
        self._start_s = time.perf_counter()
        self.loss = math.nan
        self.figures = dict.fromkeys(trainer.learner.figures, math.nan)
        if trainer.step == 0:
            columns = ("step", "loss", *self.figures, "learning_rate", "seconds", f"validation_{trainer.learner.score}")
            self._append(columns, "w")

    def add(self, trainer: Trainer, result: StepResult) -> None:
        """Count the step that was just done."""
        self.loss = _smoothed(self.loss, sum(result.losses) / len(result.losses))
        self.figures |= {name: _smoothed(self.figures[name], value) for name, value in result.figures.items()}
        values = {"loss": self.loss, **self.figures, "learning_rate": trainer.learning_rate}
        parts = {f"loss_of_part/{number}": loss for number, loss in enumerate(result.losses)}
        self._curves.add(trainer.step, values | (parts if len(parts) > 1 else {}))

    def in_words(self) -> str:
        """The figures for a person."""
        return _in_words(self.figures)

    def write(self, trainer: Trainer, validated: Mapping[str, float] | None = None) -> None:
        """Add a row."""
        seconds = time.perf_counter() - self._start_s
        means = (f"{value:.4f}" for value in (self.loss, *self.figures.values()))
        score = "" if validated is None else f"{validated[trainer.learner.score]:.4f}"
        self._append((trainer.step, *means, f"{trainer.learning_rate:.6f}", f"{seconds:.1f}", score))
        if validated is not None:
            self._curves.add(trainer.step, {f"validation_{name}": value for name, value in validated.items()})

    def close(self) -> None:
        """Finish the files."""
        self._curves.close()

    def _append(self, row: Sequence[object], mode: str = "a") -> None:
        with self._file.open(mode, newline="") as stream:
            csv.writer(stream).writerow(row)


def _in_words(figures: Mapping[str, float]) -> str:
    """The first few figures, each with its name."""
    shown = list(figures.items())[:SHOWN_FIGURES]
    return ", ".join(f"{name.replace('_', ' ')} {value:.3f}" for name, value in shown)


def _smoothed(average: float, value: float) -> float:
    return value if math.isnan(average) else SMOOTHING * average + (1 - SMOOTHING) * value


def _progress(console: Console, shown: bool) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("loss {task.fields[loss]:.3f}  {task.fields[figures]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=not shown,
    )
