"""Training of a detector: it learns to find boxes, resumes, refuses what does not fit, and becomes a bundle."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from rich.console import Console
from safetensors.numpy import load_file

from perception import cli
from perception.bundle.files import BundleFiles
from perception.bundle.format import DESCRIPTION_FILE, WEIGHTS_FILE, DetectionDescription, read_any_description
from perception.configuration import ConfigurationError, parse_settings
from perception.data.bags import write_drive
from perception.data.boxes import chosen, joined
from perception.data.drive import DriveFrame
from perception.models.checkpoints import load_checkpoint
from perception.models.flatformer import FlatFormer
from perception.runtime import load_engine
from perception.runtime.detections import points_in_range
from perception.training.batches import make_batch, prefetched, samples_of_part
from perception.training.clouds import LabelledPoints
from perception.training.command import load_configuration, start
from perception.training.detection.batches import detection_batch, seen_boxes
from perception.training.detection.settings import DetectionSettings
from perception.training.detection.validation import detect
from perception.training.loop import CHECKPOINT_FILE, LOG_FILE, deployed_network, train
from perception.training.sources import open_clouds
from perception.training.trainer import MAX_SKIPPED
from perception.types import Frame, PointCloud
from tests.training.processes import results_of_processes
from tests.training.test_moving_boxes import box, street

QUIET = Console(quiet=True)


@pytest.fixture
def settings() -> DetectionSettings:
    return DetectionSettings.model_validate(
        {
            "task": "detection",
            "name": "tiny",
            "network": {
                "model": "flatformer",
                "range_m": (-8, -8, -2, 8, 8, 2),
                "pillar_m": 0.5,
                "point_channels": 4,
                "point_layers": (8, 16),
                "blocks": 1,
                "channels": 16,
                "heads": 2,
                "hidden": 32,
                "window": 4,
                "group_size": 16,
                "drop_first": False,
                "backbone_channels": (16, 16),
                "backbone_layers": (1, 1),
                "neck_channels": (16, 16),
                "head_channels": 16,
            },
            "classes": ("car", "truck"),
            "decoding": {
                "center_range_m": (-8, -8, -9, 8, 8, 9),
                "suppression": ({"iou": 0.2}, {"iou": 0.2}),
                "peak_window": 3,
            },
            "data": {
                "training_seeds": {"first": 10, "count": 2},
                "validation_seeds": {"first": 1, "count": 1},
                "sweeps_per_drive": 2,
                "sweep_step": 1,
            },
            "optimizer": {"learning_rate": 0.01, "warm_up_steps": 5, "average_decay": 0.5},
            "batch_size": 2,
            "steps": 6,
            "checkpoint_every": 2,
            "validate_every": 3,
        }
    )


def three_streets() -> list[LabelledPoints]:
    places = (((4, 3, 0.4),), ((-4, -3, 2.0),), ((3, -4, -1.0), (-4, 4, 0.0)))
    return [street(seed, place) for seed, place in enumerate(places)]


@pytest.fixture(scope="module")
def clouds() -> list[LabelledPoints]:
    return three_streets()


def changed(settings: DetectionSettings, **values: object) -> DetectionSettings:
    return parse_settings(DetectionSettings, settings.model_dump() | values, "tiny.yaml")


def test_it_learns_to_find_what_it_was_shown(settings: DetectionSettings, clouds: list[LabelledPoints]) -> None:
    settings = changed(settings, steps=120)
    trainer = start(settings, clouds)
    for module in trainer.learner.module.modules():
        if isinstance(module, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d):
            module.momentum = 0.1  # the official 0.01 takes hundreds of steps to forget the start
    batch = detection_batch(clouds, settings)
    losses = [trainer.advance([batch]).losses[0] for _ in range(settings.steps)]
    assert losses[-1] < 0.2 * losses[0]
    network = deployed_network(trainer, clouds)
    metrics = trainer.learner.evaluate(network, clouds)
    figures = trainer.learner.figures_of(metrics)
    assert next(iter(figures)) == "map"
    assert figures["map"] == figures["ap.truck"] > 0.9
    assert figures["translation_error.truck"] < 0.3
    assert "ap.car" not in figures
    found = detect(network, clouds[0], settings)
    assert set(found.class_names) == {"truck"}


@pytest.mark.parametrize("changes", [{"blocks": 0}, {"block": "plain"}, {"block": "lite"}])
def test_a_resumed_run_equals_an_uninterrupted_one(
    settings: DetectionSettings, clouds: list[LabelledPoints], tmp_path: Path, changes: dict[str, object]
) -> None:
    settings = changed(settings, network=settings.network.model_dump() | changes)
    whole = start(settings, clouds)
    train(whole, clouds, clouds, tmp_path / "whole", QUIET)
    interrupted = start(settings, clouds)
    for batch in prefetched([samples_of_part(step, 0, 1, 2) for step in range(4)], clouds, settings):
        interrupted.advance([batch])
    interrupted.save(tmp_path / "half" / CHECKPOINT_FILE)
    resumed = start(settings, clouds, tmp_path / "half" / CHECKPOINT_FILE)
    train(resumed, clouds, clouds, tmp_path / "half", QUIET)
    for left, right in zip(whole.average.state_dict().values(), resumed.average.state_dict().values(), strict=True):
        assert torch.equal(left, right)
    with (tmp_path / "whole" / LOG_FILE).open() as stream:
        rows = list(csv.DictReader(stream))
    assert [int(row["step"]) for row in rows] == [2, 3, 4, 6]
    assert all(float(row["heatmap_loss"]) > 0 and float(row["box_loss"]) > 0 for row in rows)
    assert [bool(row["validation_map"]) for row in rows] == [False, True, False, False]


def test_batches_hold_what_can_be_seen(settings: DetectionSettings, clouds: list[LabelledPoints]) -> None:
    far = np.concatenate([clouds[0].points, [[100, 0, 0, 1], [0, 0, 2, 1], [-8, -8, -2, 1]]]).astype(np.float32)
    kept = points_in_range(far, settings.network.range_m)
    assert (np.abs(kept[:, :2]) <= 8).all()
    assert kept[-1].tolist() == [-8, -8, -2, 1]
    assert (kept[:, 2] < 2).all()
    hidden = replace(clouds[0], boxes=joined([clouds[0].boxes, box(0, 0, 0, name="car"), box(5, -5, 0, name="bus")]))
    empty_ground = hidden.where(hidden.class_ids != 8)
    assert seen_boxes(empty_ground, settings).class_names == ("truck",)
    batch = detection_batch([hidden, empty_ground], settings)
    assert len(batch.truth.cells) == 1 + (seen_boxes(hidden, settings).class_names.count("car")) + 1
    assert batch.truth.heatmap.shape == (2, 2, 32, 32)


@pytest.mark.filterwarnings("error")
def test_gradients_that_are_no_numbers_change_nothing(
    settings: DetectionSettings, clouds: list[LabelledPoints]
) -> None:
    trainer = start(settings, clouds)
    batch = make_batch(range(2), clouds, settings)
    spoilt = replace(batch, truth=batch.truth._replace(heatmap=batch.truth.heatmap * torch.nan))
    before = {name: value.clone() for name, value in trainer.learner.module.named_parameters()}
    rate = trainer.learning_rate
    trainer.advance([spoilt])
    assert (trainer.skipped, trainer.step, trainer.learning_rate) == (1, 1, rate)
    assert all(torch.equal(value, before[name]) for name, value in trainer.learner.module.named_parameters())
    trainer.advance([batch])
    assert (trainer.skipped, trainer.step) == (0, 2)
    assert trainer.learning_rate > rate
    blinding = torch.tensor([1, 1, 1, torch.inf])
    trainer.advance([replace(batch, clouds=tuple(cloud * blinding for cloud in batch.clouds))])
    assert trainer.skipped == 1
    assert all(torch.isfinite(value).all() for value in trainer.learner.module.buffers())
    trainer.advance([batch])
    assert any(not torch.equal(value, before[name]) for name, value in trainer.learner.module.named_parameters())
    for _ in range(MAX_SKIPPED):
        trainer.advance([spoilt])
    with pytest.raises(ConfigurationError, match=r"no numbers: lower optimizer\.learning_rate"):
        trainer.advance([spoilt])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"classes": ("car",)}, "2 rules for 1 classes"),
        ({"data": {"merged_sweeps": 2}}, "point_channels must be 5.*time lag"),
        ({"data": {"merged_sweeps": 4}}, r"data\.merged_sweeps"),
        ({"task": "detektion"}, "task"),
        ({"voxel_size_m": 0.1}, "unknown key 'voxel_size_m'"),
    ],
)
def test_wrong_configurations_are_one_sentence(
    settings: DetectionSettings, values: dict[str, object], message: str
) -> None:
    if isinstance(values.get("data"), dict):
        values = {"data": settings.data.model_dump() | values["data"]}
    with pytest.raises(ConfigurationError, match=message) as caught:
        changed(settings, **values)
    assert "\n" not in str(caught.value)


def test_two_processes_do_what_one_does(settings: DetectionSettings, tmp_path: Path) -> None:
    shared = changed(settings, parts=2, batch_size=1)
    one, two = results_of_processes(shared, "tests.training.test_detection:three_streets", tmp_path)
    assert one["losses"].shape == (2, 2)
    torch.testing.assert_close(two["losses"], one["losses"], rtol=1e-5, atol=0)
    assert len(one["statistics"]) > 20
    torch.testing.assert_close(two["statistics"], one["statistics"], rtol=1e-5, atol=1e-6)


def frames(count: int) -> list[DriveFrame]:
    """Without labels; every second one has boxes."""
    clouds = [street(number, ((4, 3, 0.4),)) for number in range(count)]
    return [
        DriveFrame(
            Frame(PointCloud(cloud.points), number * 100_000_000),
            np.eye(4),
            objects=cloud.boxes if number % 2 else None,
            odom_from_base=np.eye(4),
        )
        for number, cloud in enumerate(clouds)
    ]


def test_from_bags_to_a_bundle(
    settings: DetectionSettings, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("one", "two"):
        write_drive(tmp_path / name, frames(6))
    data = {"source": "bags", "training_bags": ["one"], "validation_bags": ["two"], "merged_sweeps": 2}
    network = settings.network.model_dump() | {"point_channels": 5}
    settings = changed(settings, data=data, network=network, half_weights=True)
    clouds = open_clouds(settings.data, "training", tmp_path / "work", boxes=True)
    assert len(clouds) == 3
    assert all(len(cloud.boxes) == 1 and cloud.points.shape[1] == 5 for cloud in clouds)
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(settings.model_dump(mode="json")))
    assert load_configuration("tiny.yaml").classes == ("car", "truck")
    for _ in range(2):  # the second replaces the first
        assert cli.main(["train", "tiny.yaml", "--out", "bundle", "--steps", "2"]) == 0
    assert "map on the validation drives" in capsys.readouterr().out
    description = read_any_description(BundleFiles(tmp_path / "bundle", DESCRIPTION_FILE))
    assert isinstance(description, DetectionDescription)
    assert (description.sweeps, description.classes) == (2, ("car", "truck"))
    assert description.decoding == settings.decoding
    assert {"map", "ap.truck", "translation_error.truck", "on"} <= set(description.measured)
    load_checkpoint(FlatFormer(description.network, 2), tmp_path / "bundle" / "weights.safetensors")
    clouds[0].points[:, :4].tofile("cloud.bin")
    words = ["--weights", f"out/training/tiny/{CHECKPOINT_FILE}", "--cloud", "cloud.bin", "--out", "again"]
    assert cli.main(["export", "tiny.yaml", *words]) == 0
    shipped, exported = (load_file(Path(name) / WEIGHTS_FILE) for name in ("bundle", "again"))
    assert all(np.array_equal(shipped[name], exported[name]) for name in shipped | exported)
    engine = load_engine("bundle", threads=1, task="detection")
    assert set(engine.forward(Frame(PointCloud(clouds[0].points))).boxes.class_names) <= {"car", "truck"}


def test_boxes_of_no_class_are_background(settings: DetectionSettings, clouds: list[LabelledPoints]) -> None:
    cars = changed(settings, classes=("car", "bus"))
    batch = detection_batch(clouds, cars)
    assert not batch.truth.heatmap.any()
    nothing = replace(clouds[0], boxes=chosen(clouds[0].boxes, np.array([False])))
    assert len(detection_batch([nothing], settings).truth.cells) == 0


@pytest.mark.parametrize(
    ("name", "changes"), [("pointpillars_street", {"blocks": 0}), ("flatformer_lite_street", {"block": "lite"})]
)
def test_the_demos_differ_in_their_transformer_alone(name: str, changes: dict[str, object]) -> None:
    flatformer, other = load_configuration("flatformer_street"), load_configuration(name)
    expected = {"name": name, "network": flatformer.network.model_copy(update=changes)}
    assert flatformer.model_copy(update=expected) == other
    for settings in (flatformer, other):
        network = FlatFormer(settings.network, len(settings.classes))
        assert sum(value.numel() for value in network.state_dict().values()) * 2 < 8_000_000
