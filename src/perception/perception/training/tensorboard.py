"""Figures of a training as TensorBoard shows them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

from perception.configuration import ConfigurationError

#: How long a figure may take to reach the file, and what a crash may lose.
FLUSH_SECONDS = 20


class TensorBoardLog:
    """An event file in a folder; `tensorboard --logdir FOLDER` draws its curves.

    A resumed training adds a file, which hides what an older one says of later steps.
    """

    def __init__(self, folder: Path, first_step: int = 0) -> None:
        """Open a file in `folder`.

        Args:
            folder: is made if it is not there.
            first_step: where this run of the training begins.

        Raises:
            ConfigurationError: tensorboardX is not installed.
        """
        try:
            from tensorboardX import SummaryWriter
        except ImportError:
            raise ConfigurationError("the training's log needs tensorboardX: pip install tensorboardX") from None
        self._writer = SummaryWriter(str(folder), purge_step=first_step, flush_secs=FLUSH_SECONDS)

    def add(self, step: int, values: Mapping[str, float]) -> None:
        """Log the values of a step; one that is not a number is left out."""
        for name, value in values.items():
            if not math.isnan(value):
                self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        """Finish the file."""
        self._writer.close()
