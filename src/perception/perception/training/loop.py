"""The training loop: batches in, checkpoints, a CSV log and a progress bar out."""

from __future__ import annotations

import csv
import math
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from torch import Tensor

from perception.classes import IGNORED
from perception.evaluation.metrics import ConfusionMatrix
from perception.training.batches import Batch, prefetched, samples_of_steps
from perception.training.clouds import LabelledPoints
from perception.training.trainer import Trainer
from perception.training.validation import evaluate, fold_feature_scale

CHECKPOINT_FILE = "checkpoint.pt"
LOG_FILE = "log.csv"
LOG_COLUMNS = ("step", "loss", "mean_iou", "learning_rate", "seconds", "validation_mean_iou")
#: Of the averages that the progress bar and the log show.
SMOOTHING = 0.95


def train(
    trainer: Trainer,
    clouds: Sequence[LabelledPoints],
    validation: Sequence[LabelledPoints],
    folder: Path,
    console: Console,
) -> None:
    """Train to the last step; checkpoints and the log go to `folder`."""
    settings = trainer.settings
    log = TrainingLog(folder / LOG_FILE, trainer.step)
    with _progress(console) as progress:
        task = progress.add_task("training", total=settings.steps, completed=trainer.step, loss=math.nan, iou=math.nan)
        for batch in prefetched(samples_of_steps(range(trainer.step, settings.steps), settings), clouds, settings):
            log.add(*trainer.advance(batch), batch)
            progress.update(task, advance=1, loss=log.loss, iou=log.mean_iou)
            last = trainer.step == settings.steps
            if trainer.step % settings.validate_every == 0 and not last:
                validated = validate(trainer, validation).mean_iou()
                console.print(f"step {trainer.step}: loss {log.loss:.3f}, mean IoU of validation {validated:.3f}")
                log.write(trainer, validated)
            if trainer.step % settings.checkpoint_every == 0 or last:
                trainer.save(folder / CHECKPOINT_FILE)
                log.write(trainer)


def validate(trainer: Trainer, clouds: Sequence[LabelledPoints]) -> ConfusionMatrix:
    """Evaluate the averaged weights."""
    network = fold_feature_scale(trainer.average, trainer.settings.feature_scale)
    return evaluate(network, clouds, trainer.settings.voxel_size_m, len(trainer.class_weights))


class TrainingLog:
    """Running averages, and the CSV file that they are written to."""

    def __init__(self, file: Path, step: int) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        self._file = file
        self._start_s = time.perf_counter()
        self.loss = math.nan
        self.mean_iou = math.nan
        if step == 0:
            self._append(LOG_COLUMNS, "w")

    def add(self, loss: float, scores: Tensor, batch: Batch) -> None:
        """Count one step."""
        confusion = ConfusionMatrix(scores.shape[1])
        confusion.add(batch.classes.byte().numpy(), scores.argmax(1).byte().numpy())
        self.loss = _smoothed(self.loss, loss)
        if (batch.classes != IGNORED).any():
            self.mean_iou = _smoothed(self.mean_iou, confusion.mean_iou())

    def write(self, trainer: Trainer, validated: float | None = None) -> None:
        """Add a row."""
        seconds = time.perf_counter() - self._start_s
        figures = f"{self.loss:.4f}", f"{self.mean_iou:.4f}", f"{trainer.learning_rate:.6f}", f"{seconds:.1f}"
        self._append((trainer.step, *figures, "" if validated is None else f"{validated:.4f}"))

    def _append(self, row: Sequence[object], mode: str = "a") -> None:
        with self._file.open(mode, newline="") as stream:
            csv.writer(stream).writerow(row)


def _smoothed(average: float, value: float) -> float:
    return value if math.isnan(average) else SMOOTHING * average + (1 - SMOOTHING) * value


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("loss {task.fields[loss]:.3f}  mean IoU {task.fields[iou]:.3f}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
    )
