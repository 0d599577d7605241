"""`perception check-golden`: what it prints and how it ends."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from perception.cli import main
from perception.configuration import ConfigurationError
from perception.golden.cases import load_case
from perception.golden.registry import RUNNERS
from perception.golden.segmentation import STAGES


def change_spec(folder: Path, **values: Any) -> None:
    spec = json.loads((folder / "spec.json").read_text())
    (folder / "spec.json").write_text(json.dumps(spec | values))


def spoil_weight(folder: Path, name: str) -> None:
    """Let a tensor be drawn by another rule than the one that the outputs were computed with."""
    spec = json.loads((folder / "spec.json").read_text())
    spec["tensors"][name]["rule"] = "normal:0.7"
    (folder / "spec.json").write_text(json.dumps(spec))


@pytest.mark.parametrize("backend", ["cpu", "reference"])
def test_every_stage_is_a_line(made_case: Path, backend: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check-golden", str(made_case.parent), "--backend", backend]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "mine/narrow (SPVCNN)"
    assert [line.split()[0] for line in lines[1:-1]] == list(STAGES)
    assert all(line.endswith("ok") and "tolerance   1e-04" in line for line in lines[1:-1])
    assert lines[-1] == f"All 18 outputs are within their tolerances on {backend} (cases: 1)."


@pytest.mark.parametrize(
    ("weight", "stage"),
    [
        ("stem.3.kernel", "x0"),
        ("stage3.2.net.1.running_mean", "x3"),
        ("up1.0.net.0.kernel", "y1_up"),
        ("point_transforms.1.0.weight", "z2"),
        ("classifier.0.bias", "out"),
    ],
)
def test_a_spoiled_weight_is_named_by_its_stage(
    made_case: Path, weight: str, stage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    spoil_weight(made_case, weight)
    assert main(["check-golden", str(made_case)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert f"mine/narrow first misses at {stage} (" in lines[-1]
    assert lines[-1].startswith("1 of 1 cases miss on cpu: ")
    before = STAGES.index(stage)
    assert all(line.endswith("ok") for line in lines[1 : 1 + before])
    assert lines[1 + before].endswith("MISS")


def test_one_miss_among_several_cases_fails(made_case: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = made_case.with_name("other")
    shutil.copytree(made_case, other)
    spoil_weight(other, "stage1.0.net.0.kernel")
    assert main(["check-golden", str(made_case.parent)]) == 1
    assert "1 of 2 cases miss on cpu: mine/other first misses at x1" in capsys.readouterr().out


def test_a_model_that_is_not_known(made_case: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = made_case.with_name("other")
    shutil.copytree(made_case, other)
    change_spec(other, model="Flat [net]")
    assert main(["check-golden", str(made_case.parent)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    known = ", ".join(sorted(RUNNERS))
    assert f"'Flat [net]' is not known yet (known: {known}); skip such" in captured.err
    assert main(["check-golden", str(made_case.parent), "--known-only"]) == 0
    assert "mine/other: skipped, the model 'Flat [net]' is not known yet\n" in capsys.readouterr().out


def _no_tolerance(folder: Path) -> None:
    change_spec(folder, tolerance={})


def _foreign_rule(folder: Path) -> None:
    spec = json.loads((folder / "spec.json").read_text())
    spec["tensors"]["stem.0.kernel"]["rule"] = "cauchy:1"
    (folder / "spec.json").write_text(json.dumps(spec))


def _missing_tensor(folder: Path) -> None:
    spec = json.loads((folder / "spec.json").read_text())
    del spec["tensors"]["stem.0.kernel"]
    (folder / "spec.json").write_text(json.dumps(spec))


def _pickled_outputs(folder: Path) -> None:
    np.savez(folder / "outputs.npz", out=np.array([{"code": 1}], dtype=object))


DAMAGE = {
    "truncated spec": (lambda folder: (folder / "spec.json").write_text('{"model": '), "cannot be read as JSON"),
    "spec of another kind": (lambda folder: (folder / "spec.json").write_text("[]"), "expected a mapping"),
    "no seed": (lambda folder: change_spec(folder, seed=None), "seed:"),
    "no tolerance": (_no_tolerance, "tolerance has none of"),
    "foreign rule": (_foreign_rule, "'cauchy:1' of stem.0.kernel is no rule"),
    "missing tensor": (_missing_tensor, "stem.0.kernel"),
    "no classes": (lambda folder: change_spec(folder, config={"cr": 0.125}), "missing or wrong ('num_classes')"),
    "no outputs": (lambda folder: (folder / "outputs.npz").unlink(), "outputs.npz: cannot be read"),
    "no inputs": (lambda folder: (folder / "inputs.npz").unlink(), "missing or wrong ('points')"),
    "damaged inputs": (lambda folder: (folder / "inputs.npz").write_bytes(b"PK\x03\x04rubbish"), "inputs.npz: cannot"),
    "pickled outputs": (_pickled_outputs, "outputs.npz: cannot be read as arrays"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_an_unreadable_case_is_one_sentence(made_case: Path, damage: str, capsys: pytest.CaptureFixture[str]) -> None:
    spoil, message = DAMAGE[damage]
    spoil(made_case)
    assert main(["check-golden", str(made_case)]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_a_folder_without_cases(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check-golden", str(tmp_path)]) == 2
    assert f"{tmp_path}: holds no golden cases" in capsys.readouterr().err


def test_no_gpu(made_case: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert main(["check-golden", str(made_case), "--backend", "cuda"]) == 2
    assert "no NVIDIA GPU here; use cpu or reference" in capsys.readouterr().err


def test_samples_are_found_under_the_shared_folder(made_case: Path, tmp_path: Path) -> None:
    sample = tmp_path / "elsewhere" / "data" / "scans" / "one.bin"
    case = load_case(made_case, tmp_path / "elsewhere")
    with pytest.raises(ConfigurationError, match=r"one\.bin: missing; give the folder .* with --shared"):
        case.sample("scans/one.bin")
    sample.parent.mkdir(parents=True)
    sample.touch()
    assert case.sample("scans/one.bin") == sample


def test_a_case_without_outputs_is_not_a_pass(made_case: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.savez(made_case / "outputs.npz", unknown=np.zeros(3, np.float32))
    assert main(["check-golden", str(made_case)]) == 2
    assert "holds none of the outputs that SPVCNN computes" in capsys.readouterr().err
