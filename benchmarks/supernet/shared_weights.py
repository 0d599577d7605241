"""What the two measurements of a supernet share: its weights as they were trained, data, and networks cut out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from perception.bundle.architecture import SpvnasArchitecture, layers_of, multiplications
from perception.bundle.format import WEIGHTS_FILE, SpvnasSettings, load_description
from perception.bundle.supernet import SupernetSpace
from perception.classes import SEMANTIC_KITTI_CLASSES
from perception.models.checkpoints import load_checkpoint
from perception.models.spvnas import SPVNAS, Supernet
from perception.nn.tables import FrameTables
from perception.paths import find_bundle
from perception.runtime.voxels import voxelize_frame
from perception.training.clouds import LabelledPoints, cache_folder, load_clouds, make_clouds, simulated_drive
from perception.training.command import load_configuration
from perception.training.data_settings import SimulatedData
from perception.training.learners import FIRST_KERNEL, SupernetLearner
from perception.training.loop import calibration_batches
from perception.training.settings import TrainingSettings
from perception.training.validation import evaluate

CLASSES = len(SEMANTIC_KITTI_CLASSES)


class TrainedSupernet:
    """A supernet's bundle with the configuration that it was trained by."""

    def __init__(self, bundle: str, configuration: str) -> None:
        folder = find_bundle(bundle)
        description = load_description(folder)
        assert isinstance(description.network, SpvnasSettings)
        assert description.supernet is not None
        settings = load_configuration(configuration)
        assert isinstance(settings, TrainingSettings)
        self.settings = settings
        self.space = SupernetSpace(largest=description.network.architecture, **description.supernet.model_dump())
        self.learner = SupernetLearner(self.settings, torch.ones(CLASSES))
        self.supernet: Supernet = self.learner.module  # type: ignore[assignment]
        load_checkpoint(self.supernet.network, folder / WEIGHTS_FILE)
        with torch.no_grad():  # a bundle takes raw features, training scaled ones
            self.supernet.network.get_parameter(FIRST_KERNEL).div_(torch.tensor(self.settings.feature_scale)[:, None])

    def clouds(self, seeds: Sequence[int], work: Path) -> list[LabelledPoints]:
        """Simulated clouds of some seeds, kept below the work folder."""
        data = self.settings.data
        assert isinstance(data, SimulatedData)
        return load_clouds(make_clouds(simulated_drive(data), seeds, cache_folder(work / "clouds", data)))

    def inherit(self, architecture: SpvnasArchitecture, clouds: Sequence[LabelledPoints]) -> SPVNAS:
        """Cut a network out, with statistics measured on training clouds; it takes raw features."""
        network = self.learner.network(self.supernet, architecture, calibration_batches(clouds, self.settings))
        assert isinstance(network, SPVNAS)
        return network

    def mean_iou(self, network: SPVNAS, clouds: Sequence[LabelledPoints]) -> float:
        """Mean IoU over the classes that occur."""
        return evaluate(self.learner.labeller(network), clouds, CLASSES).mean_iou()


class CostModel:
    """Multiplications of any network of the space, averaged over some clouds."""

    def __init__(self, clouds: Sequence[LabelledPoints], voxel_size_m: float) -> None:
        tables = [FrameTables(voxelize_frame(cloud.points, voxel_size_m).coords) for cloud in clouds]
        share = 1 / len(tables)
        self._rows = {s: share * sum(len(one.coords(s)) for one in tables) for s in SPVNAS.levels}
        self._pairs = {s: share * sum((one.submanifold(s) >= 0).sum() for one in tables) for s in SPVNAS.levels}

    def gmac(self, architecture: SpvnasArchitecture) -> float:
        """Billions of multiply-accumulate operations a frame."""
        rows = {stride: round(count) for stride, count in self._rows.items()}
        pairs = {stride: round(count) for stride, count in self._pairs.items()}
        return multiplications(layers_of(architecture, CLASSES), rows, pairs) * 1e-9


def describe(architecture: SpvnasArchitecture) -> str:
    """Output widths of the steps with their depths, such as `16x2 24x1 ...`."""
    return " ".join(f"{stage.out}x{len(stage.hidden)}" for stage in _stages(architecture))


def _stages(architecture: SpvnasArchitecture) -> Iterator:
    yield from architecture.down
    yield from architecture.up
