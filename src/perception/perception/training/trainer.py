"""The optimisation: one step, its schedule, its running average of the weights, and its checkpoints."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from perception.configuration import ConfigurationError
from perception.training.batch import Batch
from perception.training.batches import AnySettings
from perception.training.distributed import Group
from perception.training.learners import make_learner
from perception.training.statistics import StepStatistics

MAX_GRADIENT_NORM = 10.0
#: Steps in a row whose gradients may be no numbers: half precision finds its scale in fewer.
MAX_SKIPPED = 20


@dataclass(frozen=True)
class StepResult:
    """What a step gives to the log.

    Attributes:
        losses: of every part of the step, on whichever process it ran.
        figures: what the learner says of this process's first part, before the step.
    """

    losses: tuple[float, ...]
    figures: dict[str, float]


class Trainer:
    """Everything that changes while training.

    Attributes:
        learner: what is trained.
        step: how many steps were done.
        skipped: how many of the last steps changed nothing, since their gradients were no numbers.
    """

    def __init__(
        self, settings: AnySettings, class_weights: Tensor, group: Group | None = None, device: str = "cpu"
    ) -> None:
        """Start with fresh weights.

        Args:
            settings: the configuration.
            class_weights: float [classes], of the loss; those of detectors are not used.
            group: the processes that share each step.
            device: "cpu" or "cuda".

        Raises:
            ConfigurationError: more processes than a step has parts.
        """
        torch.manual_seed(settings.seed)
        self.settings = settings
        self.group = group or Group()
        self.device = torch.device(device)
        self.learner = make_learner(settings, class_weights)
        if self.group.size > self.learner.parts:
            raise ConfigurationError(
                f"{self.group.size} processes share {self.learner.parts} part(s) of a step: start fewer, "
                "or set supernet.networks_per_step (of a detector parts) higher"
            )
        module = self.learner.module.to(self.device)
        decay = settings.optimizer.average_decay
        self._average = AveragedModel(module, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)
        rate = settings.optimizer.learning_rate
        self._optimizer = torch.optim.AdamW(module.parameters(), rate, weight_decay=settings.optimizer.weight_decay)
        self._schedule = LambdaLR(self._optimizer, self._relative_rate)
        half = settings.mixed_precision and self.device.type == "cuda"
        self._scaler = torch.amp.GradScaler(self.device.type, enabled=half)
        self._half = half
        self.step = 0
        self.skipped = 0

    @property
    def average(self) -> nn.Module:
        """What is trained, with averaged weights."""
        return self._average.module

    @property
    def learning_rate(self) -> float:
        """The rate of the next step."""
        return float(self._schedule.get_last_lr()[0])

    @property
    def own_parts(self) -> range:
        """The parts of a step that this process computes."""
        return range(self.group.rank, self.learner.parts, self.group.size)

    def advance(self, batches: Sequence[Batch]) -> StepResult:
        """Do one step, with a batch for each of this process's parts.

        Raises:
            ConfigurationError: the gradients of many steps in a row were no numbers.
        """
        module, parts = self.learner.module.train(), self.learner.parts
        self._optimizer.zero_grad()
        losses = torch.zeros(parts, device=self.device)
        statistics = StepStatistics(module)
        first: dict[str, float] | None = None
        for part, batch in zip(self.own_parts, batches, strict=True):
            torch.manual_seed((self.settings.seed * 1_000_003 + self.step) * parts + part)  # dropout, as after a resume
            loss, figures = self._forward(batch.to(self.device), part)
            self._scaler.scale(loss / parts).backward()
            losses[part] = loss.detach()
            first = first or figures
            statistics.end_part()
        self._average_gradients(module)
        statistics.end_step(self.group, parts)
        self._update(module, statistics)
        self.step += 1
        self.group.sum([losses])
        return StepResult(tuple(losses.tolist()), first or {})

    def _update(self, module: nn.Module, statistics: StepStatistics) -> None:
        """Follow the gradients, unless one of them is no number."""
        self._scaler.unscale_(self._optimizer)
        norm = nn.utils.clip_grad_norm_(module.parameters(), MAX_GRADIENT_NORM)
        self.skipped = 0 if torch.isfinite(norm) else self.skipped + 1
        if self.skipped > MAX_SKIPPED:
            raise ConfigurationError(
                f"the gradients of {self.skipped} steps in a row are no numbers: lower optimizer.learning_rate and "
                "resume from the last checkpoint"
            )
        if not self.skipped or self._half:  # the scaler has to hear of it, and skips the step by itself
            self._scaler.step(self._optimizer)
            self._scaler.update()
        if self.skipped:
            statistics.restore()  # what spoilt the gradients may be in them
            return
        self._schedule.step()  # counts what the optimiser did, so that a bad start does not eat the warm-up
        self._average.update_parameters(module)

    def save(self, file: Path) -> None:
        """Write a checkpoint; a crash meanwhile leaves the one before it."""
        file.parent.mkdir(parents=True, exist_ok=True)
        partial = file.with_suffix(".partial")
        torch.save({"step": self.step, **{name: part.state_dict() for name, part in self._parts()}}, partial)
        os.replace(partial, file)

    def resume(self, file: Path) -> None:
        """Continue from a checkpoint of the same configuration.

        Raises:
            ConfigurationError: the file is not one.
        """
        try:
            state = torch.load(file, map_location=self.device, weights_only=True)
            for name, part in self._parts():
                part.load_state_dict(state[name])
            self.step = int(state["step"])
        except Exception as error:  # torch raises half a dozen kinds for a file that does not fit
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise ConfigurationError(f"{file}: not a checkpoint of this configuration ({reason})") from None

    def _forward(self, batch: Batch, part: int) -> tuple[Tensor, dict[str, float]]:
        with torch.autocast(self.device.type, torch.float16, enabled=self._half):
            predicted = self.learner.predict(batch, self.step, part)
        return self.learner.loss(predicted, batch)

    def _average_gradients(self, module: nn.Module) -> None:
        """Sum what the processes computed; their losses were divided by the number of parts before.

        Weights that no network of the step used get a gradient of zero, so that the optimiser does the same to them
        whichever process it runs on.
        """
        for parameter in module.parameters():
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        self.group.sum(parameter.grad for parameter in module.parameters() if parameter.grad is not None)

    def _parts(self) -> list[tuple[str, Any]]:
        return [
            ("network", self.learner.module),
            ("average", self._average),
            ("optimizer", self._optimizer),
            ("schedule", self._schedule),
            ("scaler", self._scaler),
        ]

    def _relative_rate(self, step: int) -> float:
        warm_up, steps = self.settings.optimizer.warm_up_steps, self.settings.steps
        if step < warm_up:
            return (step + 1) / (warm_up + 1)
        return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - warm_up) / max(1, steps - warm_up))))
