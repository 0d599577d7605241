"""Every kind of bag from the field is evaluated, with the figures of the plain one wherever nothing is lost."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from perception.data.bags import drive_summary, write_drive
from perception.data.recorded_drive import RecordedDrive
from perception.evaluation.offline import OfflineOptions, offline_outcomes
from perception.evaluation.result_bags import ResultBags
from perception.evaluation.run import Evaluation, evaluate
from tests.data import odd_bags
from tests.evaluation.stand_in_networks import SETTINGS, frame, models

COUNT = 12
FRAMES = [frame(index) for index in range(COUNT)]


def evaluated(out: Path, drive: RecordedDrive, sinks: tuple = ()) -> dict:
    """The metrics.json of an evaluation by two stand-in networks."""
    networks = models("labels", "boxes")
    options = OfflineOptions(workers=1, networks=SETTINGS)
    evaluation = Evaluation(out, networks, [drive], "offline", workers=1, sinks=sinks)
    evaluate(evaluation, offline_outcomes([drive], networks, options), Console(quiet=True))
    return json.loads((out / "metrics.json").read_text())


def figures(metrics: dict) -> list:
    """How good the networks are, and what became of the frames."""
    return [(model["frames"], model["segmentation"], model["detection"]) for model in metrics["models"]]


def plain(folder: Path) -> Path:
    write_drive(folder / "plain", FRAMES)
    return folder / "plain"


def split(folder: Path) -> Path:
    for number in range(3):
        write_drive(folder / f"part{number}", FRAMES[4 * number : 4 * number + 4])
    return odd_bags.split(folder / "split", [folder / f"part{number}" for number in range(3)])


def split_by_a_crash(folder: Path) -> Path:
    (split(folder) / "metadata.yaml").unlink()
    return folder / "split"


def topic_by_topic(folder: Path) -> Path:
    entries = sorted(odd_bags.entries_of(FRAMES), key=lambda entry: entry[1])
    return odd_bags.write_mcap(folder / "topics.mcap", entries)


def clock_back(folder: Path) -> Path:
    """From the middle on, all is logged an hour earlier than before."""
    entries = odd_bags.entries_of(FRAMES)
    half = len(entries) // 2
    ahead = [(time + 3600 * 10**9, *rest) for time, *rest in entries[:half]]
    return odd_bags.write_mcap(folder / "clock.mcap", [*ahead, *entries[half:]])


WHOLE: dict[str, Callable[[Path], Path]] = {
    "zstd": lambda folder: odd_bags.write_mcap(folder / "z.mcap", odd_bags.entries_of(FRAMES), "zstd"),
    "lz4": lambda folder: odd_bags.write_mcap(folder / "l.mcap", odd_bags.entries_of(FRAMES), "lz4"),
    "no index": lambda folder: odd_bags.write_mcap(folder / "n.mcap", odd_bags.entries_of(FRAMES), has_index=False),
    "sqlite3": lambda folder: odd_bags.write_sqlite(folder / "s", odd_bags.entries_of(FRAMES)),
    "sqlite3, a file": lambda folder: odd_bags.write_sqlite(folder / "f", odd_bags.entries_of(FRAMES), "file-zstd"),
    "sqlite3, messages": lambda folder: odd_bags.write_sqlite(folder / "m", odd_bags.entries_of(FRAMES), "message-lz4"),
    "split": split,
    "split by a crash": split_by_a_crash,
    "topic by topic": topic_by_topic,
    "clock back": clock_back,
}  # fmt: skip


@pytest.fixture(scope="module")
def of_plain(tmp_path_factory: pytest.TempPathFactory) -> list:
    folder = tmp_path_factory.mktemp("plain")
    return figures(evaluated(folder / "out", RecordedDrive(plain(folder))))


@pytest.mark.parametrize("kind", WHOLE)
def test_whole_bags_give_the_same_figures(tmp_path: Path, of_plain: list, kind: str) -> None:
    metrics = evaluated(tmp_path / "out", RecordedDrive(WHOLE[kind](tmp_path)))
    assert figures(metrics) == of_plain
    assert len(metrics["run"]["bags"][0]["losses"]) == (kind == "split by a crash")


def test_figures_are_of_truth_and_result(of_plain: list) -> None:
    (frames, segmentation, _), (_, _, detection) = of_plain
    assert frames["in"] == frames["out"] == COUNT
    assert segmentation["frames"] == detection["frames"] == COUNT


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_what_is_left_of_a_bag_is_evaluated_and_the_loss_told(tmp_path: Path, storage: str) -> None:
    if storage == "mcap":
        folder = plain(tmp_path)
        file = odd_bags.write_mcap(folder / "plain.mcap", odd_bags.entries_of(FRAMES))
    else:
        folder = odd_bags.write_sqlite(tmp_path / "plain", odd_bags.entries_of(FRAMES))
        file = folder / "plain.db3"
    odd_bags.cut(file, 0.6)
    metrics = evaluated(tmp_path / "out", RecordedDrive(folder))
    bag = metrics["run"]["bags"][0]
    assert 0 < bag["frames"] < COUNT
    assert bag["losses"][0].startswith(f"{COUNT - bag['frames']} of {COUNT} clouds on /points are missing")
    assert [model["frames"]["out"] for model in metrics["models"]] == [bag["frames"]] * 2
    assert metrics["models"][0]["segmentation"]["frames"] == bag["frames"]


def test_a_bag_without_truth_has_latencies_only(tmp_path: Path) -> None:
    write_drive(tmp_path / "drive", [replace(one, class_ids=None, objects=None) for one in FRAMES])
    metrics = evaluated(tmp_path / "out", RecordedDrive(tmp_path / "drive"))
    assert [(model["segmentation"], model["detection"]) for model in metrics["models"]] == [(None, None)] * 2
    assert [model["latency_ms"]["total"]["count"] for model in metrics["models"]] == [COUNT] * 2


def test_a_bag_of_results_is_evaluated_like_the_first(tmp_path: Path, of_plain: list) -> None:
    drive = RecordedDrive(plain(tmp_path))
    sinks = (ResultBags(tmp_path / "bags", [drive], models("labels", "boxes")),)
    evaluated(tmp_path / "out", drive, sinks)
    topics = drive_summary(tmp_path / "bags" / "plain").topics
    assert topics["/labels/output/pointcloud/segmentation"] == topics["/boxes/output/objects"] == COUNT
    assert figures(evaluated(tmp_path / "again", RecordedDrive(tmp_path / "bags" / "plain"))) == of_plain
