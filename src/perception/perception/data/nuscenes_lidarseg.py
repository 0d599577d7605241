"""nuScenes-lidarseg: key frames of the LiDAR with a class for every point, and the official split of the scenes.

Source: Fong et al., "Panoptic nuScenes", RA-L 2022; the split is that of the nuScenes development kit.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from perception.classes import NUSCENES_LIDARSEG
from perception.configuration import ConfigurationError
from perception.data.files import read_bytes
from perception.data.nuscenes_tables import choose_version, read_rows

#: First and last numbers of the 150 scenes on which v1.0-trainval is validated; its other 700 are for training.
_VALIDATION_RANGES = (
    (3, 3), (12, 18), (35, 36), (38, 39), (92, 110), (221, 221), (268, 278), (329, 332), (344, 346), (519, 524),
    (552, 565), (625, 627), (629, 630), (632, 638), (770, 771), (775, 775), (777, 778), (780, 784), (794, 800),
    (802, 802), (904, 917), (919, 931), (962, 963), (966, 969), (971, 972), (1059, 1073),
)  # fmt: skip
VALIDATION_SCENES = frozenset(
    f"scene-{number:04}" for first, last in _VALIDATION_RANGES for number in range(first, last + 1)
)
#: Of the ten scenes of v1.0-mini, which the large set's split does not follow.
MINI_VALIDATION_SCENES = frozenset({"scene-0103", "scene-0916"})


def labelled_sweeps(folder: Path, version: str | None = None) -> dict[str, list[tuple[Path, Path]]]:
    """List the labelled sweeps of every scene, in the order of time, each with the file of its labels.

    Args:
        folder: holds `v1.0-*/`, `samples/` and `lidarseg/`.
        version: as in "v1.0-mini"; needed where there are several.

    Raises:
        ConfigurationError: a table is missing or damaged, or the version is not there or not said.
    """
    tables = choose_version(folder, version)
    if not (tables / "lidarseg.json").is_file():
        raise ConfigurationError(f"{tables}: no lidarseg.json; unpack nuScenes-lidarseg into {folder}")
    try:
        labels = {row["sample_data_token"]: row["filename"] for row in read_rows(tables, "lidarseg")}
        sweeps = read_rows(tables, "sample_data", lambda row: row["token"] in labels)
        scene_names = {row["token"]: row["name"] for row in read_rows(tables, "scene")}
        scene_of_sample = {row["token"]: scene_names[row["scene_token"]] for row in read_rows(tables, "sample")}
        found: dict[str, list[tuple[Path, Path]]] = {name: [] for name in sorted(scene_names.values())}
        for sweep in sorted(sweeps, key=lambda row: row["timestamp"]):
            files = folder / sweep["filename"], folder / labels[sweep["token"]]
            found[scene_of_sample[sweep["sample_token"]]].append(files)
    except KeyError as error:
        raise ConfigurationError(f"{tables}: its tables contradict each other: nothing is known of {error}") from None
    return {name: files for name, files in found.items() if files}


def validation_scenes(scenes: set[str]) -> set[str]:
    """Choose those of a version's scenes that are for validation, by the official split.

    The ten scenes of v1.0-mini are known by their number: no other version has so few.
    """
    return scenes & (MINI_VALIDATION_SCENES if len(scenes) <= 10 else VALIDATION_SCENES)


def read_lidarseg(path: Path, point_count: int) -> NDArray[np.uint8]:
    """Read a file of labels: class ids of `NUSCENES_LIDARSEG`, uint8 [N].

    Raises:
        ConfigurationError: there is not one label a point.
    """
    data = read_bytes(path)
    if len(data) != point_count:
        raise ConfigurationError(f"{path}: {len(data)} labels for a sweep of {point_count} points")
    return NUSCENES_LIDARSEG.of_raw(np.frombuffer(data, np.uint8))
