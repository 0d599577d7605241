"""What lies between the layers of SPVCNN, on as many rows as a scan has voxels at 0.05 m, beside PyTorch."""

from __future__ import annotations

import numpy as np
import torch

from benchmarks.kernel_cases import Case, Context
from perception import ops

ROWS, FEWER_ROWS, CLASSES = 95_000, 5_000, 19
#: Inputs and outputs of layers of size 1: SPVCNN's widest and most common, and those of the demo network.
LAYERS = ((96, 96), (256, 256), (32, 256), (22, 22), (7, 60), (60, 30))
#: Least share of the speed that the machine allows, for layers that are wide enough to be bound by arithmetic.
LEAST_SHARE = {96: 0.7, 256: 0.7}


def draw(*shape: int, seed: int = 0) -> np.ndarray:
    """Draw float32 normal numbers."""
    return np.random.default_rng([seed, *shape]).standard_normal(shape, dtype=np.float32)


def pointwise_cases(context: Context, rows: int, inputs: int, outputs: int) -> list[Case]:
    """Run a layer of size 1 with residual and ReLU, beside its limit and PyTorch."""
    x, weight, bias = draw(rows, inputs), draw(outputs, inputs) / np.float32(inputs**0.5), draw(outputs)
    residual, out = draw(rows, outputs), np.empty((rows, outputs), np.float32)
    tensors = [torch.from_numpy(value) for value in (bias, x, weight.T, residual)]
    result = torch.empty(rows, outputs)

    def ours() -> object:
        return ops.linear(x, weight, bias, "relu", residual=residual, threads=context.threads, out=out)

    def peer() -> object:
        return torch.addmm(*tensors[:3], out=result).add_(tensors[3]).relu_()

    limit_ms = context.limit_ms(2.0 * rows * inputs * outputs, x.nbytes + residual.nbytes + out.nbytes)
    required = None if context.fast or inputs != outputs else LEAST_SHARE.get(inputs)
    name = f"linear + residual + ReLU, {rows} x {inputs} to {outputs}"
    return [
        Case(name, ours, "limit", required=required, peer_ms=limit_ms),
        Case(name, ours, "PyTorch addmm, add, relu", peer),
    ]


def row_cases(context: Context, rows: int) -> list[Case]:
    """Add, join, take and convert 96 channels; label 19 classes."""
    threads, channels = context.threads, 96
    a, b, out = draw(rows, channels), draw(rows, channels, seed=1), np.empty((rows, channels), np.float32)
    left, right, joined = torch.from_numpy(a), torch.from_numpy(b), np.empty((rows, 2 * channels), np.float32)
    index = np.random.default_rng(0).permutation(rows).astype(np.int32)
    wanted, halves = torch.from_numpy(index), np.empty((rows, channels), np.float16)
    result, results, half = (
        torch.empty(rows, channels),
        torch.empty(rows, 2 * channels),
        torch.empty(rows, channels).half(),
    )
    scores = draw(rows, CLASSES)
    size = f"{rows} x {channels}"
    return [
        Case(
            f"add rows + ReLU, {size}",
            lambda: ops.add_rows(a, b, True, threads=threads, out=out),
            "PyTorch add, relu",
            lambda: torch.add(left, right, out=result).relu_(),
        ),
        Case(
            f"concatenate columns, 2 of {size}",
            lambda: ops.concatenate_columns([a, b], threads=threads, out=joined),
            "PyTorch cat",
            lambda: torch.cat([left, right], 1, out=results),
        ),
        Case(
            f"take rows, {size}, at random",
            lambda: ops.take_rows(a, index, threads=threads, out=out),
            "PyTorch index_select",
            lambda: torch.index_select(left, 0, wanted, out=result),
        ),
        Case(
            f"cast to float16, {size}",
            lambda: ops.cast(a, np.float16, threads=threads, out=halves),
            "PyTorch copy",
            lambda: half.copy_(left),
        ),
        Case(
            f"best class, {rows} x {CLASSES}",
            lambda: ops.best_class(scores, threads=threads),
            "PyTorch softmax, max",
            lambda: torch.from_numpy(scores).softmax(1).max(1),
        ),
    ]


def cases(context: Context) -> list[Case]:
    """Layers of size 1, then the rest."""
    rows = FEWER_ROWS if context.fast else ROWS
    found = [case for inputs, outputs in LAYERS for case in pointwise_cases(context, rows, inputs, outputs)]
    return found + row_cases(context, rows)
