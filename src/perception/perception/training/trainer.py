"""The optimisation: one step, its schedule, its running average of the weights, and its checkpoints."""

from __future__ import annotations

import math
import os
from pathlib import Path

import torch
from torch.optim.lr_scheduler import LambdaLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from perception.configuration import ConfigurationError
from perception.models.build import build_network
from perception.models.network import SegmentationNetwork
from perception.training.batches import Batch
from perception.training.losses import segmentation_loss
from perception.training.settings import TrainingSettings


class Trainer:
    """Everything that changes while training.

    Attributes:
        network: what is trained.
        average: the running average of its weights and batch statistics.
        step: how many steps were done.
    """

    def __init__(self, settings: TrainingSettings, class_weights: torch.Tensor) -> None:
        torch.manual_seed(settings.seed)
        self.settings = settings
        self.class_weights = class_weights
        self.network = build_network(settings.network, len(class_weights))
        decay = settings.optimizer.average_decay
        self._average = AveragedModel(self.network, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)
        self._optimizer = torch.optim.AdamW(
            self.network.parameters(), settings.optimizer.learning_rate, weight_decay=settings.optimizer.weight_decay
        )
        self._schedule = LambdaLR(self._optimizer, self._relative_rate)
        self.step = 0

    @property
    def average(self) -> SegmentationNetwork:
        """The network with averaged weights."""
        network = self._average.module
        assert isinstance(network, SegmentationNetwork)
        return network

    @property
    def learning_rate(self) -> float:
        """The rate of the next step."""
        return float(self._schedule.get_last_lr()[0])

    def advance(self, batch: Batch) -> tuple[float, torch.Tensor]:
        """Do one step; return its loss and the scores [N, C] before it."""
        torch.manual_seed(self.settings.seed * 1_000_003 + self.step)  # dropout, the same after a resume
        self.network.train()
        scores = self.network.label(batch.tables, batch.features)
        loss = segmentation_loss(scores, batch.classes, self.class_weights, self.settings.loss.lovasz_weight)
        self._optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 10.0)
        self._optimizer.step()
        self._schedule.step()
        self._average.update_parameters(self.network)
        self.step += 1
        return float(loss.detach()), scores.detach()

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
            state = torch.load(file, weights_only=True)
            for name, part in self._parts():
                part.load_state_dict(state[name])
            self.step = int(state["step"])
        except Exception as error:  # torch raises half a dozen kinds for a file that does not fit
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise ConfigurationError(f"{file}: not a checkpoint of this configuration ({reason})") from None

    def _parts(self) -> list[tuple[str, torch.nn.Module | torch.optim.Optimizer | LambdaLR]]:
        return [
            ("network", self.network),
            ("average", self._average),
            ("optimizer", self._optimizer),
            ("schedule", self._schedule),
        ]

    def _relative_rate(self, step: int) -> float:
        warm_up, steps = self.settings.optimizer.warm_up_steps, self.settings.steps
        if step < warm_up:
            return (step + 1) / (warm_up + 1)
        return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - warm_up) / max(1, steps - warm_up))))
