"""The clouds of a training's data, wherever they come from."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import overload

import numpy as np
from rich.progress import track

from perception.configuration import ConfigurationError
from perception.data.bag_labels import labelled_clouds
from perception.data.bags import read_drive
from perception.data.drive import DriveFrame
from perception.data.files import read_points
from perception.data.nuscenes import open_nuscenes, read_sweep
from perception.data.nuscenes_lidarseg import labelled_sweeps, read_lidarseg, validation_scenes
from perception.data.nuscenes_tables import choose_version, read_rows
from perception.data.semantic_kitti import labelled_scans, read_labels
from perception.training.clouds import (
    LabelledPoints,
    cache_folder,
    labelled,
    load_clouds,
    make_clouds,
    moments_of,
    read_clouds,
    save_clouds,
    simulated_drive,
)
from perception.training.data_settings import (
    BagData,
    DataSettings,
    NuscenesData,
    Part,
    SemanticKittiData,
    SimulatedData,
)

CloudReader = Callable[[], LabelledPoints]


class LazyClouds(Sequence[LabelledPoints]):
    """Clouds that are read when they are asked for; the last few stay in memory."""

    def __init__(self, readers: Sequence[CloudReader], cache_bytes: int) -> None:
        """Start with nothing read.

        Args:
            readers: one for each cloud.
            cache_bytes: how much is kept; each process of a fork keeps its own.
        """
        self._readers = readers
        self._cache_bytes = cache_bytes
        self._cached: OrderedDict[int, LabelledPoints] = OrderedDict()
        self._used_bytes = 0

    def __len__(self) -> int:
        """Count the clouds."""
        return len(self._readers)

    @overload
    def __getitem__(self, number: int) -> LabelledPoints: ...
    @overload
    def __getitem__(self, number: slice) -> LazyClouds: ...
    def __getitem__(self, number: int | slice) -> LabelledPoints | LazyClouds:
        """Give a cloud, without points that have no place; or some of the clouds, unread."""
        if isinstance(number, slice):
            return LazyClouds(self._readers[number], self._cache_bytes)
        number = range(len(self))[number]
        cloud = self._cached.pop(number, None)
        if cloud is None:
            cloud = _finite(self._readers[number]())
            self._used_bytes += _size(cloud)
        self._cached[number] = cloud
        while self._used_bytes > self._cache_bytes and self._cached:
            self._used_bytes -= _size(self._cached.popitem(last=False)[1])
        return cloud


def open_clouds(data: DataSettings, part: Part, work: Path, boxes: bool = False) -> Sequence[LabelledPoints]:
    """Find the clouds of the training or the validation.

    Args:
        data: where they come from.
        part: which of them.
        work: simulated clouds, and those of bags, are kept in files below it.
        boxes: whether objects are to be found, which simulated drives, bags and nuScenes tell; clouds of bags without
            any are then left out.

    Raises:
        ConfigurationError: they are not there, or there are none.
    """
    if isinstance(data, SimulatedData):
        folder = cache_folder(work / "clouds", data)
        return load_clouds(make_clouds(simulated_drive(data), data.seeds_of(part), folder, data.merged_sweeps))
    if isinstance(data, SemanticKittiData):
        readers = _semantic_kitti(data, part)
    elif isinstance(data, NuscenesData):
        readers = _nuscenes_objects(data, part, work) if boxes else _nuscenes(data, part)
    else:
        readers = [reader for bag in data.bags_of(part) for reader in _bag(bag, data, work, boxes)]
    if not readers:
        raise ConfigurationError(f"the data for {part} holds no clouds: {data.description(part)}")
    return LazyClouds(readers, data.cache_mb * 1_000_000)


def _semantic_kitti(data: SemanticKittiData, part: Part) -> list[CloudReader]:
    roots = [data.folder / "dataset" / "sequences", data.folder / "sequences", data.folder]
    root = next(root for root in roots if root.is_dir() or root == data.folder)
    scans = [labelled_scans(root / f"{sequence:02}")[:: data.sweep_step] for sequence in data.sequences_of(part)]
    return [partial(_read_scan, *files) for of_sequence in scans for files in of_sequence]


def _read_scan(scan: Path, labels: Path) -> LabelledPoints:
    points = read_points(scan, 4)
    return LabelledPoints(points, *read_labels(labels, len(points)))


def _nuscenes(data: NuscenesData, part: Part) -> list[CloudReader]:
    sweeps = labelled_sweeps(data.folder, data.version)
    scenes = _scenes_of(data, part, set(sweeps))
    return [partial(_read_sweep, *files) for name in scenes for files in sweeps[name][:: data.sweep_step]]


def _nuscenes_objects(data: NuscenesData, part: Part, work: Path) -> list[CloudReader]:
    """Key frames with their boxes, of several sweeps those with as many before them."""

    def clouds(scene: str) -> Iterator[LabelledPoints]:
        drive = open_nuscenes(data.folder, data.version, scene, data.merged_sweeps == 1, cameras=False)
        return islice(_boxed_clouds(drive.frames, 1, data.merged_sweeps), 0, None, data.sweep_step)

    names = {str(row["name"]) for row in read_rows(choose_version(data.folder, data.version), "scene")}
    source = (str(data.folder.resolve()), data.version, data.sweep_step, data.merged_sweeps)
    readers: list[CloudReader] = []
    for scene in _scenes_of(data, part, names):
        folder = work / "clouds" / f"{scene}-{_digest(source)}-boxes"
        readers += _in_files(scene, partial(clouds, scene), folder)
    return readers


def _scenes_of(data: NuscenesData, part: Part, known: set[str]) -> list[str]:
    """The scenes of the training or the validation."""
    validation = set(data.validation_scenes or validation_scenes(known))
    training = set(data.training_scenes or known - validation)
    wanted = training if part == "training" else validation
    if missing := sorted(wanted - known):
        raise ConfigurationError(f"{data.folder}: no labelled sweeps of {', '.join(missing[:5])}")
    if both := sorted(training & validation):
        raise ConfigurationError(f"{', '.join(both[:5])}: for training and for validation; name both lists of scenes")
    return sorted(wanted)


def _read_sweep(sweep: Path, labels: Path) -> LabelledPoints:
    points = read_sweep(sweep).points
    return LabelledPoints(points, read_lidarseg(labels, len(points)))


def _bag(bag: Path, data: BagData, work: Path, boxes: bool) -> list[CloudReader]:
    """Any one cloud of a bag takes as long to read as many."""

    def clouds() -> Iterator[LabelledPoints]:
        return (
            _boxed_clouds(read_drive(bag), data.sweep_step, data.merged_sweeps)
            if boxes
            else _labelled_clouds(bag, data)
        )

    return _in_files(
        bag.name, clouds, work / "clouds" / f"{bag.name}-{_bag_digest(bag, data)}{'-boxes' if boxes else ''}"
    )


def _in_files(name: str, clouds: Callable[[], Iterable[LabelledPoints]], folder: Path) -> list[CloudReader]:
    """Put a recording's clouds into files of their own, once."""
    done = folder / "all"
    if not done.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        for number, cloud in enumerate(track(clouds(), description=f"reading {name}")):
            save_clouds([cloud], folder / f"{number:06}.npz")
        done.touch()
    return [partial(_read_only_cloud, file) for file in sorted(folder.glob("*.npz"))]


def _labelled_clouds(bag: Path, data: BagData) -> Iterator[LabelledPoints]:
    clouds = islice(labelled_clouds(bag, data.topic), 0, None, data.sweep_step)
    return (LabelledPoints(*arrays) for arrays in clouds)


def _boxed_clouds(drive: Iterable[DriveFrame], step: int, merged_sweeps: int) -> Iterator[LabelledPoints]:
    """Clouds with boxes; where only key frames have boxes, only key frames."""
    for moments in moments_of(drive, step, merged_sweeps):
        if moments[-1].objects is not None:
            yield labelled(moments)


def _bag_digest(bag: Path, data: BagData) -> str:
    """Eight characters that change whenever the bag's files or what is read of them do."""
    files = [bag] if bag.is_file() else sorted(bag.glob("*"))
    state = [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    return _digest((str(bag.resolve()), state, data.topic, data.sweep_step, data.merged_sweeps))


def _digest(source: tuple[object, ...]) -> str:
    return hashlib.sha256(repr(source).encode()).hexdigest()[:8]


def _read_only_cloud(file: Path) -> LabelledPoints:
    return read_clouds(file)[0]


def _finite(cloud: LabelledPoints) -> LabelledPoints:
    kept = np.isfinite(cloud.points).all(axis=1)
    return cloud if kept.all() else cloud.where(kept)


def _size(cloud: LabelledPoints) -> int:
    return sum(array.nbytes for array in (cloud.points, cloud.class_ids, cloud.instance_ids) if array is not None)
