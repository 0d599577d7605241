"""The command: what it prints, what it writes, and when it fails."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from perception.cli import main
from tests.evaluation.compare.evaluations import frame, write_run


@pytest.fixture
def runs(tmp_path: Path) -> tuple[str, str]:
    """The second is 2 ms slower, and right in 9 of 10 points in place of 8."""
    totals = np.random.default_rng(0).uniform(10, 30, 40)
    for name, more_ms, right in (("old", 0, 8), ("new", 2, 9)):
        records = [
            frame(index, total + more_ms, [(0, 0, right), (0, 1, 10 - right)]) for index, total in enumerate(totals)
        ]
        write_run(tmp_path / name, records)
    return str(tmp_path / "old"), str(tmp_path / "new" / "metrics.json")


def test_words_say_what_is_better(runs: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", *runs, "--resamples", "50"]) == 0
    lines = {line.split()[0]: line.rstrip() for line in capsys.readouterr().out.splitlines() if line.strip()}
    assert lines["latency.total.p50"].endswith(" worse")
    assert lines["mIoU"].endswith(" better")
    assert lines["IoU.car"].endswith(" better")
    assert lines["drops"].endswith(" no difference")
    assert "memory.mean" not in lines


def test_everything_is_written(runs: tuple[str, str], tmp_path: Path) -> None:
    assert main(["compare", *runs, "--resamples", "50", "--json", str(tmp_path / "out.json")]) == 0
    written = json.loads((tmp_path / "out.json").read_text())
    (model,) = written["models"]
    assert model["paired"] is True
    assert model["figures"]["accuracy"]["difference"] == pytest.approx(0.1)
    assert model["figures"]["accuracy"]["verdict"] == "better"
    assert (written["resamples"], written["block_frames"], written["seed"]) == (50, 20, 0)


def test_the_same_seed_gives_the_same_digits(runs: tuple[str, str], tmp_path: Path) -> None:
    for name in ("one", "two"):
        assert main(["compare", *runs, "--resamples", "50", "--json", str(tmp_path / name)]) == 0
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_a_gate_that_fails_is_exit_code_1(runs: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    gates = ["delta.latency.total.p50 > 1 significant", "relative.mIoU < -0.05", "accuracy < 0.95"]
    assert main(["compare", *runs, "--resamples", "50", *(word for gate in gates for word in ("--fail-if", gate))]) == 1
    assert capsys.readouterr().err.splitlines() == [
        "failed: delta.latency.total.p50 > 1 significant: street has 2, 1 above 1",
        "failed: accuracy < 0.95: street has 0.9, 0.05 below 0.95",
    ]


def test_a_gate_that_holds_is_exit_code_0(runs: tuple[str, str]) -> None:
    assert main(["compare", *runs, "--resamples", "50", "--fail-if", "delta.accuracy < 0"]) == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--fail-if", "delta.mAP < 0"], "no figure 'delta.mAP' (there are: delta.mIoU, "),
        (["--fail-if", "mIoU"], "expected"),
        (["--models", "street"], "--models street: expected two names"),
        (["--models", "street:road"], "no network 'road' (there are: street)"),
    ],
)
def test_a_mistake_is_one_line(
    runs: tuple[str, str], capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    assert main(["compare", *runs, "--resamples", "0", *words]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("perception compare: ")
    assert message in line
