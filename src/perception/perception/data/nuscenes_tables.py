"""The JSON tables of nuScenes, and as much of them as one scene needs.

Source: Caesar et al., "nuScenes", CVPR 2020, and the schema published with it. The whole set's `sample_data.json` is
over a gigabyte, so rows of other scenes are dropped while it is parsed.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from perception.configuration import ConfigurationError

Row = dict[str, Any]


@dataclass(frozen=True)
class SceneTables:
    """The rows of one scene.

    Attributes:
        name: as in "scene-0061".
        samples: the key frames by token.
        sensor_data: sample_data by channel ("LIDAR_TOP", "CAM_FRONT" ...), in the order of time.
        ego_poses, calibrations: rows that sensor data names, by token.
        annotations: all boxes by token.
        categories: category name of each instance token.
    """

    name: str
    samples: dict[str, Row]
    sensor_data: dict[str, list[Row]]
    ego_poses: dict[str, Row]
    calibrations: dict[str, Row]
    annotations: dict[str, Row]
    categories: dict[str, str]


def load_scene(folder: Path, version: str | None, scene_name: str | None) -> SceneTables:
    """Load one scene; where there is only one version or one scene, it need not be named.

    Raises:
        ConfigurationError: a table is missing or damaged, or the version or scene is not there or not said.
    """
    tables = choose_version(folder, version)
    scene = _choose_scene(tables, scene_name)
    samples = _by_token(read_rows(tables, "sample", lambda row: row["scene_token"] == scene["token"]))
    data_rows = read_rows(tables, "sample_data", lambda row: row["sample_token"] in samples)
    pose_tokens = {row["ego_pose_token"] for row in data_rows}
    annotations = _by_token(read_rows(tables, "sample_annotation", lambda row: row["sample_token"] in samples))
    calibrations = _by_token(read_rows(tables, "calibrated_sensor"))
    channels = {row["token"]: row["channel"] for row in read_rows(tables, "sensor")}
    return SceneTables(
        name=scene["name"],
        samples=samples,
        sensor_data=_by_channel(data_rows, calibrations, channels),
        ego_poses=_by_token(read_rows(tables, "ego_pose", lambda row: row["token"] in pose_tokens)),
        calibrations=calibrations,
        annotations=annotations,
        categories=_categories(tables, {row["instance_token"] for row in annotations.values()}),
    )


def choose_version(folder: Path, version: str | None) -> Path:
    """Find the folder of a version's tables; where there is only one, it need not be named.

    Raises:
        ConfigurationError: it is not there, or not said.
    """
    found = sorted(path.parent.name for path in folder.glob("v1.0-*/sample.json"))
    if version is None and len(found) == 1:
        return folder / found[0]
    if version in found:
        return folder / str(version)
    if not found:
        raise ConfigurationError(f"{folder}: no v1.0-*/sample.json; give the folder that holds samples/ and v1.0-mini/")
    raise ConfigurationError(f"{folder}: choose one with --version: {', '.join(found)}")


def _choose_scene(tables: Path, name: str | None) -> Row:
    scenes = {row["name"]: row for row in read_rows(tables, "scene")}
    if name in scenes:
        return scenes[str(name)]
    if name is None and len(scenes) == 1:
        return next(iter(scenes.values()))
    listed = ", ".join(sorted(scenes)[:12]) + (" ..." if len(scenes) > 12 else "")
    raise ConfigurationError(f"{tables}: choose one of its {len(scenes)} scenes with --scene: {listed or 'none'}")


def read_rows(tables: Path, name: str, wanted: Callable[[Row], bool] | None = None) -> list[Row]:
    """Read a table's rows, or only those wanted.

    Raises:
        ConfigurationError: it cannot be read, is damaged, or lacks a column.
    """
    path = tables / f"{name}.json"

    def keep(row: Row) -> Row | None:
        return row if wanted is None or wanted(row) else None

    try:
        rows = json.loads(path.read_bytes(), object_hook=keep)
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read ({error.strerror or error})") from None
    except ValueError as error:
        raise ConfigurationError(f"{path}: not valid JSON ({error})") from None
    except KeyError as error:
        raise ConfigurationError(f"{path}: a row has no {error}") from None
    return [row for row in rows if row is not None]


def _by_token(rows: list[Row]) -> dict[str, Row]:
    return {row["token"]: row for row in rows}


def _by_channel(data_rows: list[Row], calibrations: dict[str, Row], channels: dict[str, str]) -> dict[str, list[Row]]:
    by_channel: dict[str, list[Row]] = {}
    for row in sorted(data_rows, key=lambda row: row["timestamp"]):
        sensor = calibrations[row["calibrated_sensor_token"]]["sensor_token"]
        by_channel.setdefault(channels[sensor], []).append(row)
    return by_channel


def _categories(tables: Path, instance_tokens: set[str]) -> dict[str, str]:
    names = {row["token"]: row["name"] for row in read_rows(tables, "category")}
    instances = read_rows(tables, "instance", lambda row: row["token"] in instance_tokens)
    return {row["token"]: names[row["category_token"]] for row in instances}
