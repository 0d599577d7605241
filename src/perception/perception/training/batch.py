"""What every kind of batch can do."""

from __future__ import annotations

from typing import Protocol

import torch


class Batch(Protocol):
    """What a network is taught at once."""

    def to(self, device: torch.device) -> Batch:
        """The batch in a device's memory."""
