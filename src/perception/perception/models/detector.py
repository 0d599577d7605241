"""What every detector offers to training, export and evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from torch import Tensor, nn

from perception.bundle.detection import MapDetectorSettings


class MapDetector(nn.Module):
    """A detector whose encoder turns clouds into a bird's-eye-view map, from which a dense part finds boxes.

    Attributes:
        settings: what it looks like.
        backbone, neck, bbox_head: the dense part.
        inference_backend, training_backend: what the encoder computes with, unless told otherwise.
    """

    settings: MapDetectorSettings
    backbone: nn.Module
    neck: nn.Module
    bbox_head: nn.Module
    inference_backend: ClassVar[Any]
    training_backend: ClassVar[Any]

    def bev(self, clouds: Sequence[Tensor], backend: Any) -> Tensor:
        """Compute the map of a batch of clouds, float [B, C, H, W]."""
        raise NotImplementedError

    def forward(self, clouds: Sequence[Tensor], backend: Any = None) -> dict[str, Tensor]:
        """Compute the head's raw maps, each float [B, channels, H, W]; see `perception.nn.bev.CenterHead`.

        Args:
            clouds: float32 [N, point_channels] each: x, y, z in metres, then features; N may be 0.
            backend: what the encoder computes with.
        """
        backend = backend or (self.training_backend if self.training else self.inference_backend)
        maps: dict[str, Tensor] = self.bbox_head(self.neck(self.backbone(self.bev(clouds, backend))))
        return maps
