"""The same two steps by one process, and by two that `torchrun` starts.

Run as a module, this file is such a process: SETTINGS.json, CLOUDS (module:function), and the file for its results.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch

from perception.training.batches import AnySettings, make_batch, samples_of_part
from perception.training.clouds import LabelledPoints
from perception.training.command import start
from perception.training.detection.settings import DetectionSettings
from perception.training.distributed import group_of_torchrun
from perception.training.settings import TrainingSettings
from perception.training.trainer import Trainer

TOP = Path(__file__).resolve().parents[2]
TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")


def batches_of(step: int, trainer: Trainer, clouds: list[LabelledPoints]) -> list[Any]:
    """A step's batches of a process."""
    parts, size = trainer.learner.parts, trainer.settings.batch_size
    return [
        make_batch(samples_of_part(step, part, parts, size), clouds, trainer.settings) for part in trainer.own_parts
    ]


def results_of_processes(settings: AnySettings, clouds: str, folder: Path) -> list[dict[str, Any]]:
    """Two steps by one process, then by two.

    Args:
        settings: the configuration.
        clouds: the function that makes the clouds, as module:function.
        folder: for files.

    Returns:
        Of either, what `two_steps` gives.
    """
    (folder / "settings.json").write_text(settings.model_dump_json())
    results = []
    for launcher in ((), TORCHRUN):
        words = [*launcher, "-m", __name__, folder / "settings.json", clouds, folder / "result.pt"]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        subprocess.run([sys.executable, *map(str, words)], check=True, env=environment, cwd=TOP, timeout=180)
        results.append(torch.load(folder / "result.pt"))
    return results


def two_steps(trainer: Trainer, clouds: list[LabelledPoints]) -> dict[str, Any]:
    """The losses of two steps, float [2, parts], and after the first the statistics of the batch norms by name."""
    losses = [trainer.advance(batches_of(0, trainer, clouds)).losses]
    buffers = trainer.learner.module.named_buffers()
    statistics = {name: value.clone() for name, value in buffers if "running" in name}
    losses.append(trainer.advance(batches_of(1, trainer, clouds)).losses)
    return {"losses": torch.tensor(losses), "statistics": statistics}


def main(settings_file: str, clouds: str, result: str) -> None:
    """Be one of the processes."""
    torch.set_num_threads(1)
    text = Path(settings_file).read_text()
    kind = DetectionSettings if json.loads(text)["task"] == "detection" else TrainingSettings
    module, function = clouds.split(":")
    made = getattr(importlib.import_module(module), function)()
    with group_of_torchrun() as group:
        trainer = start(kind.model_validate_json(text), made, group=group)
        results = two_steps(trainer, made)
        if group.leads:
            torch.save(results, result)


if __name__ == "__main__":
    main(*sys.argv[1:])
