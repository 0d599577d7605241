from __future__ import annotations

import numpy as np
import pytest
import torch

from perception.bundle.graph import Operation
from perception.runtime.weights import layer_weights

RNG = np.random.default_rng(0)


def operation(op: str, weights: dict[str, str], **values: object) -> Operation:
    return Operation(name="layer", op=op, stage="stem", inputs={}, outputs={}, weights=weights, **values)


def norm_tensors(channels: int) -> dict[str, np.ndarray]:
    tensors = {
        f"bn.{name}": RNG.normal(size=channels).astype(np.float32) for name in ("weight", "bias", "running_mean")
    }
    return tensors | {"bn.running_var": RNG.uniform(0.1, 2, channels).astype(np.float32)}


def normalised(values: np.ndarray, tensors: dict[str, np.ndarray], epsilon: float) -> torch.Tensor:
    names = ("running_mean", "running_var", "weight", "bias")
    vectors = [torch.from_numpy(tensors[f"bn.{name}"]).double() for name in names]
    return torch.nn.functional.batch_norm(torch.from_numpy(values).double(), *vectors, eps=epsilon)


@pytest.mark.parametrize("epsilon", [1e-5, 1e-3])
def test_batch_norm_is_folded_into_a_linear_layer(epsilon: float) -> None:
    tensors = {"w": RNG.normal(size=(6, 5)).astype(np.float32), "b": RNG.normal(size=6).astype(np.float32)}
    tensors |= norm_tensors(6)
    layer = operation(
        "linear",
        {"weight": "w", "bias": "b", "norm": "bn"},
        attributes={"norm_epsilon": epsilon} if epsilon != 1e-5 else {},
    )
    weight, bias = layer_weights(layer, tensors, 5)
    x = RNG.normal(size=(9, 5)).astype(np.float32)
    expected = normalised(x.astype(np.float64) @ tensors["w"].T + tensors["b"], tensors, epsilon)
    np.testing.assert_allclose(x @ weight.T + bias, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("volume", [8, 27])
def test_batch_norm_is_folded_into_every_weight_of_a_convolution(volume: int) -> None:
    tensors = {"k": RNG.normal(size=(volume, 5, 6)).astype(np.float32)} | norm_tensors(6)
    weight, bias = layer_weights(operation("sparse_convolution", {"kernel": "k", "norm": "bn"}), tensors, 5)
    x = RNG.normal(size=(9, volume, 5)).astype(np.float32)
    expected = normalised(np.einsum("nki,kio->no", x.astype(np.float64), tensors["k"]), tensors, 1e-5)
    np.testing.assert_allclose(np.einsum("nki,kio->no", x, weight) + bias, expected, rtol=1e-4, atol=1e-4)


def test_a_pointwise_kernel_becomes_the_weight_of_a_linear_layer() -> None:
    tensors = {"k": RNG.normal(size=(5, 6)).astype(np.float32)}
    weight, bias = layer_weights(operation("linear", {"kernel": "k"}), tensors, 5)
    assert bias is None
    assert weight.flags.c_contiguous
    np.testing.assert_array_equal(weight, tensors["k"].T)


def test_a_linear_layer_uses_its_first_columns() -> None:
    tensors = {"w": RNG.normal(size=(6, 8)).astype(np.float32)}
    weight, _ = layer_weights(operation("linear", {"weight": "w"}), tensors, 5)
    np.testing.assert_array_equal(weight, tensors["w"][:, :5])


def test_weights_are_of_the_type_that_the_layer_computes_in() -> None:
    tensors = {"k": RNG.normal(size=(27, 5, 6)).astype(np.float16)} | norm_tensors(6)
    layer = operation("sparse_convolution", {"kernel": "k", "norm": "bn"}, dtype="float16")
    weight, bias = layer_weights(layer, tensors, 5)
    assert weight.dtype == np.float16
    assert bias is not None
    assert bias.dtype == np.float32
