"""The self-check of a bundle: a small cloud with the labels that it must give."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from fake_engine import PROBABILITY, FakeEngine
from safetensors.numpy import save

from perception.bundle.loading import load_bundle
from perception.configuration import ConfigurationError
from perception.runtime.native import NativeSegmentationEngine
from perception.runtime.self_check import SELF_CHECK_FILE, run_self_check
from tests.bundle.graphs import graph_of, unet, write_files

POINTS = 400


def write_check(folder: Path, **changes: np.ndarray | None) -> dict[str, str]:
    """A self-check that FakeEngine passes, with some tensors changed or left out (None); returns the checksum."""
    points = np.random.default_rng(0).uniform(-20, 20, (POINTS, 4)).astype(np.float32)
    tensors = {
        "points": points,
        "class_ids": (points[:, 2] > 0).astype(np.uint8),
        "probabilities": np.full(POINTS, PROBABILITY, np.float32),
    }
    kept = {name: tensor for name, tensor in (tensors | changes).items() if tensor is not None}
    return write_content(folder, save(kept))


def write_content(folder: Path, content: bytes) -> dict[str, str]:
    (folder / SELF_CHECK_FILE).write_bytes(content)
    return {SELF_CHECK_FILE: hashlib.sha256(content).hexdigest()}


def test_a_network_that_works_passes_and_says_how_well(tmp_path):
    result = run_self_check(FakeEngine(probability=0.7, files=write_check(tmp_path)), tmp_path)
    assert result is not None
    assert (result.points, result.agreement) == (POINTS, 1.0)
    assert result.largest_difference == pytest.approx(0.05, abs=1e-6)


def test_a_bundle_that_names_none_is_not_checked(tmp_path):
    write_check(tmp_path)
    engine = FakeEngine(wrong=POINTS)
    assert run_self_check(engine, tmp_path) is None
    assert engine.calls == []


def test_one_label_in_a_hundred_may_differ(tmp_path):
    files = write_check(tmp_path)
    result = run_self_check(FakeEngine(wrong=POINTS // 100, files=files), tmp_path)
    assert result is not None
    assert result.agreement == 0.99
    with pytest.raises(ConfigurationError) as caught:
        run_self_check(FakeEngine(wrong=POINTS // 100 + 1, probability=0.5, files=files), tmp_path)
    assert "98.75 % of the labels" in str(caught.value)
    assert "0.25" in str(caught.value)
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_not_a_number_is_refused_though_the_labels_agree(tmp_path, value):
    with pytest.raises(ConfigurationError, match="NaN"):
        run_self_check(FakeEngine(probability=value, files=write_check(tmp_path)), tmp_path)


@pytest.mark.parametrize(
    "changes",
    [
        {"points": None},
        {"class_ids": None},
        {"points": np.zeros((POINTS, 3), np.float32)},
        {"points": np.zeros((POINTS, 4), np.float16)},
        {"points": np.full((POINTS, 4), np.nan, np.float32)},
        {"class_ids": np.zeros(POINTS - 1, np.uint8)},
        {"probabilities": np.zeros((POINTS, 1), np.float32)},
        {"points": np.zeros((0, 4), np.float32), "class_ids": np.zeros(0, np.uint8)},
    ],
)
def test_a_wrong_file_is_one_sentence(tmp_path, changes):
    with pytest.raises(ConfigurationError, match=SELF_CHECK_FILE) as caught:
        run_self_check(FakeEngine(files=write_check(tmp_path, **changes)), tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"\xff" * 100, b"\x10\0\0\0\0\0\0\0{}"])
def test_a_damaged_file_is_one_sentence(tmp_path, content):
    with pytest.raises(ConfigurationError, match=SELF_CHECK_FILE):
        run_self_check(FakeEngine(files=write_content(tmp_path, content)), tmp_path)


def test_a_file_that_was_changed_is_refused(tmp_path):
    files = write_check(tmp_path)
    write_check(tmp_path, probabilities=np.ones(POINTS, np.float32))
    with pytest.raises(ConfigurationError, match="damaged or changed"):
        run_self_check(FakeEngine(files=files), tmp_path)


def test_more_tensors_than_needed_are_nothing_wrong(tmp_path):
    files = write_check(tmp_path, scores=np.zeros((5, 2), np.float32))
    assert run_self_check(FakeEngine(files=files), tmp_path) is not None


def test_a_cloud_that_the_network_cannot_take_is_one_sentence(tmp_path):
    network = unet()
    far = {"points": np.full((3, 4), 1e30, np.float32), "class_ids": np.zeros(3, np.uint8)}
    check = save(far | {"probabilities": np.ones(3, np.float32)})
    write_files(tmp_path, graph_of(network), network.tensors, others={SELF_CHECK_FILE: check})
    engine = NativeSegmentationEngine(tmp_path, load_bundle(tmp_path).description, threads=1)
    with pytest.raises(ConfigurationError, match=r"cannot take the cloud of its self-check .*too far away"):
        run_self_check(engine, tmp_path)
