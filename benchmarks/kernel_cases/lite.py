"""Lite blocks beside plain ones in one run: the convolution along the walk, the encoder with its parts, the network.

The networks are the demonstrations' and the official configuration's, with drawn weights, on the run's scan. Plain
blocks are the peer: a ratio above 1 says that the lite ones are faster.
"""

from __future__ import annotations

import tempfile
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmarks.kernel_cases import Case, Context
from benchmarks.kernel_cases.attention import FEWER_TOKENS, TOKENS, draw
from benchmarks.kernel_cases.encoder import cloud_for, drawn_encoder, fastest_parts_ms, make_executor, part_of
from benchmarks.kernel_cases.networks import frame_counts
from perception import ops
from perception.bundle.detection import FlatFormerSettings
from perception.bundle.operations import check_graph, multiplications
from perception.export.flatformer import lower_flatformer
from perception.models.flatformer import FlatFormer
from perception.ops import reference_pillars
from perception.runtime.dense.region import load_region
from perception.runtime.executor import GraphExecutor
from perception.runtime.place import HOST
from perception.runtime.steps import Setting
from perception.training.command import load_configuration

CHANNELS, KERNEL_SIZE = 64, 9


def convolution_case(context: Context) -> Case:
    """Gate rows and convolve them along a walk."""
    tokens = FEWER_TOKENS if context.fast else TOKENS
    gated, kernel = draw(tokens, 2 * CHANNELS), draw(KERNEL_SIZE, CHANNELS)
    order = np.random.default_rng(0).permutation(tokens).astype(np.int32)
    tensors = (torch.from_numpy(gated), torch.from_numpy(order), [tokens], torch.from_numpy(kernel))

    def peer() -> Tensor:
        with torch.inference_mode():
            return reference_pillars.sequence_convolution(*tensors)

    def ours() -> object:
        return ops.sequence_convolution(gated, order, [tokens], kernel, threads=context.threads)

    name = f"gated convolution of {tokens} rows of {CHANNELS}, {KERNEL_SIZE} neighbours"
    return Case(name, ours, "torch gather + glu + conv1d + scatter", peer)


def both_blocks(settings: FlatFormerSettings) -> list[FlatFormer]:
    """The network with lite blocks, and with plain ones."""
    return [drawn_encoder(settings.model_copy(update={"block": block})) for block in ("lite", "plain")]


def encoder_cases(context: Context, settings: FlatFormerSettings) -> list[Case]:
    """The encoder up to the map, and its parts."""
    executors = [make_executor(network, context.threads) for network in both_blocks(settings)]
    inputs = {"points": cloud_for(context, settings)}
    counts = [frame_counts(executor, inputs) for executor in executors]
    millions = [
        sum(multiplications(executor.checked, executor.shapes, count).values()) / 1e6
        for executor, count in zip(executors, counts, strict=True)
    ]
    name = f"encoder, {counts[0]['pillars']} pillars, {settings.channels} channels, groups of {settings.group_size}"
    note = f"{millions[0]:.0f} and {millions[1]:.0f} million multiplications"
    lite, plain = executors
    whole = Case(name, lambda: lite.run(inputs), "plain blocks", lambda: plain.run(inputs), note=note)
    parts: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
    for which, executor in enumerate(executors):
        for operation, ms in fastest_parts_ms(executor, inputs).items():
            parts[part_of(operation)][which] += ms
    return [whole] + [
        Case(f"- {part}", None, "plain blocks", peer_ms=plain_ms or None, ours_ms=lite_ms)
        for part, (lite_ms, plain_ms) in parts.items()
    ]


def network_case(context: Context, settings: FlatFormerSettings) -> Case:
    """All of it, from points to the head's maps."""
    lite, plain = (whole_executor(network, context.threads) for network in both_blocks(settings))
    inputs = {"points": cloud_for(context, settings)}
    name = f"network of {settings.channels} channels, {len(inputs['points'])} points to maps"
    return Case(name, lambda: lite.run(inputs), "plain blocks", lambda: plain.run(inputs))


def whole_executor(network: FlatFormer, threads: int) -> GraphExecutor:
    """The network's graph with its dense part."""
    lowered = lower_flatformer(network)
    tensors = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    checked = check_graph(lowered.graph, {name: tensor.shape for name, tensor in tensors.items()}, "FlatFormer")
    with tempfile.TemporaryDirectory() as folder:
        for file, content in lowered.regions.items():
            (Path(folder) / file).write_bytes(content)
        regions = {file: load_region(Path(folder) / file, "cpu", threads) for file in lowered.regions}
    return GraphExecutor(checked, Setting(tensors, HOST, threads, regions))


def cases(context: Context) -> list[Case]:
    """The convolution, then both configurations."""
    street = load_configuration("flatformer_lite_street").network
    official = FlatFormerSettings(kernel_size=KERNEL_SIZE)
    chosen = (street,) if context.fast else (street, official)
    encoders = [case for settings in chosen for case in encoder_cases(context, settings)]
    return [convolution_case(context), *encoders, network_case(context, street)]
