"""The running statistics of batch norms over a step of several parts."""

from __future__ import annotations

from torch import Tensor, nn

from perception.training.distributed import Group

#: What batch norms keep of the batches that they saw.
STATISTICS = ("running_mean", "running_var")


class StepStatistics:
    """Every part of a step starts from the statistics before it; those after it are the mean of what the parts made.

    So they are the same whichever process a part runs on, as the gradients are.

    Args:
        module: what is trained.
    """

    def __init__(self, module: nn.Module) -> None:
        self._own: list[Tensor] = [value for name, value in module.named_buffers() if name.endswith(STATISTICS)]
        self._before = [value.clone() for value in self._own]
        self._sums = [value.new_zeros(value.shape) for value in self._own]

    def end_part(self) -> None:
        """Take what a part made of them, and give the next part what this one had."""
        for value, total in zip(self._own, self._sums, strict=True):
            total += value
        self.restore()

    def end_step(self, group: Group, parts: int) -> None:
        """Set the mean of all parts, on whichever process they ran."""
        group.sum(self._sums)
        for value, total in zip(self._own, self._sums, strict=True):
            value.copy_(total / parts)

    def restore(self) -> None:
        """Set what they were before the step."""
        for value, before in zip(self._own, self._before, strict=True):
            value.copy_(before)
