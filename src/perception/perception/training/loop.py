"""The training loop: batches in, checkpoints, a CSV log and a progress bar out."""

from __future__ import annotations

import copy
import csv
import math
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from torch import nn

from perception.classes import IGNORED
from perception.evaluation.metrics import ConfusionMatrix
from perception.training.batches import Batch, make_batch, prefetched, samples_of_part
from perception.training.clouds import LabelledPoints
from perception.training.settings import AugmentationSettings, TrainingSettings
from perception.training.tensorboard import TensorBoardLog
from perception.training.trainer import StepResult, Trainer
from perception.training.validation import evaluate

CHECKPOINT_FILE = "checkpoint.pt"
LOG_FILE = "log.csv"
LOG_COLUMNS = ("step", "loss", "mean_iou", "learning_rate", "seconds", "validation_mean_iou")
#: Of the averages that the progress bar and the log show.
SMOOTHING = 0.95
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
    log = TrainingLog(folder, trainer.step) if trainer.group.leads else None
    jobs = [
        samples_of_part(step, part, trainer.learner.parts, settings.batch_size)
        for step in range(trainer.step, settings.steps)
        for part in trainer.own_parts
    ]
    batches = prefetched(jobs, clouds, settings)
    with _progress(console, trainer.group.leads) as progress:
        task = progress.add_task("training", total=settings.steps, completed=trainer.step, loss=math.nan, iou=math.nan)
        while trainer.step < settings.steps:
            result = trainer.advance([next(batches) for _ in trainer.own_parts])
            last = trainer.step == settings.steps
            if log:
                log.add(trainer, result)
                progress.update(task, advance=1, loss=log.loss, iou=log.mean_iou)
                if trainer.step % settings.validate_every == 0 and not last:
                    validated = validate(trainer, clouds, validation).mean_iou()
                    console.print(f"step {trainer.step}: loss {log.loss:.3f}, mean IoU of validation {validated:.3f}")
                    log.write(trainer, validated)
                if trainer.step % settings.checkpoint_every == 0 or last:
                    trainer.save(folder / CHECKPOINT_FILE)
                    log.write(trainer)
            if trainer.step % settings.validate_every == 0 or last:
                trainer.group.wait()
    if log:
        log.close()


def validate(
    trainer: Trainer, clouds: Sequence[LabelledPoints], validation: Sequence[LabelledPoints]
) -> ConfusionMatrix:
    """Evaluate the averaged weights on the validation clouds; `clouds` are those of the training."""
    network = deployed_network(trainer, clouds)
    return evaluate(trainer.learner.labeller(network), validation, len(trainer.class_weights))


def deployed_network(trainer: Trainer, clouds: Sequence[LabelledPoints]) -> nn.Module:
    """The network to ship, on the CPU: the averaged weights, with what it needs of the training clouds."""
    average = copy.deepcopy(trainer.average).cpu()
    return trainer.learner.deployed(average, calibration_batches(clouds, trainer.settings))


def calibration_batches(clouds: Sequence[LabelledPoints], settings: TrainingSettings) -> Iterator[Batch]:
    """Training clouds as they are, a few of them spread over all, to measure statistics on."""
    plain = AugmentationSettings(scale=0, jitter_m=0, drop=0, intensity_scale=0, intensity_shift=0)
    unchanged = settings.model_copy(update={"augmentation": plain})
    for number in range(CALIBRATION_BATCHES):
        yield make_batch(range(number * settings.batch_size, (number + 1) * settings.batch_size), clouds, unchanged)


class TrainingLog:
    """Running averages, and the CSV and TensorBoard files that they are written to."""

    def __init__(self, folder: Path, step: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._file = folder / LOG_FILE
        self._curves = TensorBoardLog(folder, step)
        self._start_s = time.perf_counter()
        self.loss = math.nan
        self.mean_iou = math.nan
        if step == 0:
            self._append(LOG_COLUMNS, "w")

    def add(self, trainer: Trainer, result: StepResult) -> None:
        """Count the step that was just done."""
        confusion = ConfusionMatrix(result.scores.shape[1])
        confusion.add(result.classes.byte().numpy(), result.scores.argmax(1).byte().numpy())
        self.loss = _smoothed(self.loss, sum(result.losses) / len(result.losses))
        if (result.classes != IGNORED).any():
            self.mean_iou = _smoothed(self.mean_iou, confusion.mean_iou())
        values = {"loss": self.loss, "mean_iou": self.mean_iou, "learning_rate": trainer.learning_rate}
        parts = {f"loss_of_part/{number}": loss for number, loss in enumerate(result.losses)}
        self._curves.add(trainer.step, values | (parts if len(parts) > 1 else {}))

    def write(self, trainer: Trainer, validated: float | None = None) -> None:
        """Add a row."""
        seconds = time.perf_counter() - self._start_s
        figures = f"{self.loss:.4f}", f"{self.mean_iou:.4f}", f"{trainer.learning_rate:.6f}", f"{seconds:.1f}"
        self._append((trainer.step, *figures, "" if validated is None else f"{validated:.4f}"))
        if validated is not None:
            self._curves.add(trainer.step, {"validation_mean_iou": validated})

    def close(self) -> None:
        """Finish the files."""
        self._curves.close()

    def _append(self, row: Sequence[object], mode: str = "a") -> None:
        with self._file.open(mode, newline="") as stream:
            csv.writer(stream).writerow(row)


def _smoothed(average: float, value: float) -> float:
    return value if math.isnan(average) else SMOOTHING * average + (1 - SMOOTHING) * value


def _progress(console: Console, shown: bool) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("loss {task.fields[loss]:.3f}  mean IoU {task.fields[iou]:.3f}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=not shown,
    )
