"""The self-check of a bundle: a small cloud with the labels that it must give."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fake_engine import PROBABILITY, FakeEngine
from safetensors.numpy import save_file

from perception.configuration import ConfigurationError
from perception.runtime.self_check import SELF_CHECK_FILE, run_self_check

POINTS = 400


def write_check(folder: Path, **changes: np.ndarray | None) -> Path:
    """A self-check that FakeEngine passes, with some tensors changed or left out (None)."""
    points = np.random.default_rng(0).uniform(-20, 20, (POINTS, 4)).astype(np.float32)
    tensors = {
        "points": points,
        "class_ids": (points[:, 2] > 0).astype(np.uint8),
        "probabilities": np.full(POINTS, PROBABILITY, np.float32),
    }
    kept = {name: tensor for name, tensor in (tensors | changes).items() if tensor is not None}
    save_file(kept, folder / SELF_CHECK_FILE)
    return folder


def test_a_network_that_works_passes_and_says_how_well(tmp_path):
    result = run_self_check(FakeEngine(probability=0.7), write_check(tmp_path))
    assert result is not None
    assert (result.points, result.agreement) == (POINTS, 1.0)
    assert result.largest_difference == pytest.approx(0.05, abs=1e-6)


def test_a_bundle_without_one_is_not_checked(tmp_path):
    engine = FakeEngine()
    assert run_self_check(engine, tmp_path) is None
    assert engine.calls == []


def test_one_label_in_a_hundred_may_differ(tmp_path):
    folder = write_check(tmp_path)
    result = run_self_check(FakeEngine(wrong=POINTS // 100), folder)
    assert result is not None
    assert result.agreement == 0.99
    with pytest.raises(ConfigurationError) as caught:
        run_self_check(FakeEngine(wrong=POINTS // 100 + 1, probability=0.5), folder)
    assert "98.75 % of the labels" in str(caught.value)
    assert "0.25" in str(caught.value)
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_not_a_number_is_refused_though_the_labels_agree(tmp_path, value):
    with pytest.raises(ConfigurationError, match="NaN"):
        run_self_check(FakeEngine(probability=value), write_check(tmp_path))


@pytest.mark.parametrize(
    "changes",
    [
        {"points": None},
        {"class_ids": None},
        {"points": np.zeros((POINTS, 3), np.float32)},
        {"points": np.zeros((POINTS, 4), np.float64)},
        {"points": np.full((POINTS, 4), np.nan, np.float32)},
        {"class_ids": np.zeros(POINTS - 1, np.uint8)},
        {"probabilities": np.zeros((POINTS, 1), np.float32)},
        {
            name: np.zeros((0, 4)[: 2 if name == "points" else 1], kind)
            for name, kind in (("points", np.float32), ("class_ids", np.uint8), ("probabilities", np.float32))
        },
    ],
)
def test_a_wrong_file_is_one_sentence(tmp_path, changes):
    with pytest.raises(ConfigurationError, match=SELF_CHECK_FILE) as caught:
        run_self_check(FakeEngine(), write_check(tmp_path, **changes))
    assert "export" in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"\xff" * 100, b"\x10\0\0\0\0\0\0\0{}"])
def test_a_damaged_file_is_one_sentence(tmp_path, content):
    (tmp_path / SELF_CHECK_FILE).write_bytes(content)
    with pytest.raises(ConfigurationError, match="not a safetensors file"):
        run_self_check(FakeEngine(), tmp_path)


def test_more_tensors_than_needed_are_nothing_wrong(tmp_path):
    assert run_self_check(FakeEngine(), write_check(tmp_path, scores=np.zeros((5, 2), np.float32))) is not None
