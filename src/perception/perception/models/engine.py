"""The PyTorch executor of segmentation bundles, on the project's CPU kernels."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch

from perception.bundle.format import WEIGHTS_FILE, BundleDescription, PvcnnSettings
from perception.configuration import ConfigurationError
from perception.models.build import build_network
from perception.models.checkpoints import load_checkpoint
from perception.models.labellers import make_labeller
from perception.runtime.labellers import label_frame, made_up_frame
from perception.runtime.timing import StageTimer
from perception.types import Frame, LabelledCloud

#: Of each point: x, y, z and intensity.
FEATURES = 4


class TorchSegmentationEngine:
    """Labels every point of a frame; each stage of the network's labeller is timed."""

    def __init__(
        self, folder: Path, description: BundleDescription, device: str = "cpu", threads: int | None = None
    ) -> None:
        """Build the network, load its weights, and fuse its layers.

        Args:
            folder: the bundle.
            description: what its bundle.yaml says.
            device: only "cpu".
            threads: how many cores to use; by default OMP_NUM_THREADS, else all. It holds for the whole process.

        Raises:
            ConfigurationError: another device, or weights that are not this network's.
        """
        if device != "cpu":
            raise ConfigurationError(f"device '{device}': the torch engine runs on 'cpu' only")
        features = description.network.input_channels
        if features != FEATURES and not isinstance(description.network, PvcnnSettings):
            raise ConfigurationError(f"{folder}: takes {features} features a voxel; a cloud has x, y, z and intensity")
        if threads is not None:
            torch.set_num_threads(threads)
            os.environ["OMP_NUM_THREADS"] = str(threads)  # what perception.ops goes by
        self.description = description
        network = build_network(description.network, len(description.classes))
        load_checkpoint(network, folder / WEIGHTS_FILE)
        self._labeller = make_labeller(network, description.network, description.voxel_size_m)

    def warm_up(self) -> None:
        """Label a made-up cloud once."""
        self.forward(made_up_frame())

    def update(self, calibration: Any) -> None:
        """Take new calibration of the sensors; networks of one LiDAR have none."""

    def forward(self, frame: Frame) -> LabelledCloud:
        """Label a frame; see `perception.runtime.Engine.forward`."""
        with torch.inference_mode():
            return label_frame(self._labeller, frame, StageTimer())

    def close(self) -> None:
        """Free the network."""
        del self._labeller
