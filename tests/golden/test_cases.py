"""Drawing tensors and comparing outputs, as the golden cases' own description says."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from perception.golden.cases import draw, load_case
from perception.golden.checks import Check, relative_error


def test_rules() -> None:
    normal = draw("a", (4000,), "normal:0.5", 1)
    assert normal.dtype == np.float32
    assert normal.std() == pytest.approx(0.5, rel=0.05)
    uniform = draw("a", (4000,), "uniform:-1:3", 1)
    assert (uniform.min(), uniform.max()) == (pytest.approx(-1, abs=0.05), pytest.approx(3, abs=0.05))
    assert draw("a", (2, 3), "ones", 1).tolist() == [[1] * 3] * 2
    assert draw("a", (), "int0", 1).dtype == np.int64
    assert not draw("a", (2,), "zeros", 1).any()


def test_a_tensor_depends_on_name_and_seed() -> None:
    first = draw("a", (8,), "normal:1", 1)
    np.testing.assert_array_equal(draw("a", (8,), "normal:1", 1), first)
    assert (draw("b", (8,), "normal:1", 1) != first).all()
    assert (draw("a", (8,), "normal:1", 2) != first).all()


@pytest.mark.parametrize("rule", ["normal", "uniform:1", "normal:1:2", "", "ones:1"])
def test_rules_that_do_not_exist(rule: str) -> None:
    with pytest.raises(ValueError, match="is no rule"):
        draw("a", (1,), rule, 0)


@pytest.mark.parametrize("name", ["spvnas/ops", "bevfusion/view_transform", "flatformer/detector"])
def test_the_same_tensors_as_the_official_reader(shared: Path, name: str) -> None:
    file, folder = shared / "golden" / "golden.py", shared / "golden" / name
    spec = importlib.util.spec_from_file_location("golden", file)
    assert spec is not None
    assert spec.loader is not None
    golden = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(golden)
    expected, actual = golden.state_dict(golden.load_case(folder)[0]), load_case(folder, shared).weights()
    assert actual.keys() == expected.keys()
    for tensor_name, tensor in expected.items():
        np.testing.assert_array_equal(actual[tensor_name], tensor)
        assert actual[tensor_name].dtype == tensor.dtype


def test_errors_that_must_not_pass() -> None:
    expected = np.array([[3.0, 4.0]])
    assert relative_error(expected * 1.01, expected) == pytest.approx(0.01)
    for wrong in ([[3.0, np.nan]], [[3.0, np.inf]], [[3.0]], [[3.0, 4.0, 0.0]]):
        assert not Check("x", np.array(wrong), expected, tolerance=1e9).passed
    assert Check("x", expected, expected, tolerance=0.0).passed
    assert not Check("x", expected, np.array([[np.nan, 1.0]]), tolerance=1e9).passed
