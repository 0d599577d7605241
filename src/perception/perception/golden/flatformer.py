"""Golden cases of FlatFormer: its parts, the encoder on two real scans, and the whole detector down to its boxes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from perception import ops
from perception.bundle.detection import CenterDecoding, FlatFormerSettings
from perception.golden.cases import Array, GoldenCase
from perception.golden.checks import EXACT, Check
from perception.golden.executions import Execution, to_numpy
from perception.models.checkpoints import load_weights
from perception.models.flatformer import Encoded, FlatFormer
from perception.nn.flat_attention import WALKS, FlatFormerBlock, TokenSequences
from perception.runtime.detections import Candidates, find_candidates, suppress

CLASSES = 3
ORDER_NAMES = ("order_x", "order_x_shift", "order_y", "order_y_shift")
#: Largest differences of boxes in any column (m, rad, m/s) and of scores, as the specs state them.
BOX_TOLERANCE, SCORE_TOLERANCE = 1e-3, 1e-4
#: The parts of the transformer that the cases hold with other windows and groups than the published ones.
VARIANTS = {"w13_g144": (13, 144), "w9_g69": (9, 69)}


def check_encoder(case: GoldenCase, execution: Execution) -> Iterator[Check]:
    """Pillars, token orders, groups, every layer, and the map."""
    network = _network(case, execution)
    layers: list[torch.Tensor] = []
    for block in network.middle_encoder.block_list:
        for layer in block.block:  # type: ignore[union-attr]
            layer.register_forward_hook(lambda _m, _i, output: layers.append(output))
    with torch.inference_mode():
        encoded = network.encode(_clouds(case, execution), execution.pillars)
    outputs, rows = case.outputs, case.outputs["rows"]
    yield from _places(encoded, network.settings, case, execution)
    yield _close(case, "vfe", to_numpy(encoded.features[0])[rows], "vfe")
    for number, features in enumerate(layers):
        found = to_numpy(features)[outputs["layer_rows"]]
        yield Check(f"layer {number}", found, outputs["layers"][number], case.tolerance)
        if number % len(WALKS) == len(WALKS) - 1:
            block_name = f"block_{number // len(WALKS)}"
            yield _close(case, block_name, to_numpy(features)[rows], block_name)
    bev = to_numpy(encoded.bev)
    yield _close(case, "bev", bev[:, :, ::4, ::4], "bev")
    yield _close(case, "bev_channel_sum", bev.sum((2, 3), dtype=np.float64), "bev_channel_sum")
    yield Check("bev_occupied", np.packbits((bev != 0).any(1)), outputs["bev_occupied"], EXACT)


def check_detector(case: GoldenCase, execution: Execution) -> Iterator[Check]:
    """The map, the dense stages, raw maps, candidates and final boxes."""
    network = _network(case, execution)
    with torch.inference_mode():
        encoded = network.encode(_clouds(case, execution), execution.pillars)
        stages = network.backbone(encoded.bev)
        neck = network.neck(stages)
        maps = network.bbox_head(neck)
    yield Check("coords", to_numpy(encoded.pillars.coords), case.outputs["coords"][:, [0, 2, 3]], EXACT)
    for name, value in {"bev": encoded.bev, "backbone_0": stages[0], "backbone_1": stages[1], "neck": neck}.items():
        first, step = _stored_cells(case, name)
        yield _close(case, name, to_numpy(value)[:, :, first::step, first::step], name)
    for name, value in maps.items():
        first, step = _stored_cells(case, f"raw_{name}")
        yield _close(case, f"raw_{name}", to_numpy(value)[:, :, first::step, first::step], f"raw_{name}")
    contiguous = {name: value.contiguous() for name, value in maps.items()}
    candidates = find_candidates(contiguous, network.settings, CenterDecoding())[0]
    yield from box_checks(case, candidates, "candidate_")
    yield from box_checks(case, suppress(candidates, CenterDecoding()), "")


def check_parts(case: GoldenCase, execution: Execution) -> Iterator[Check]:
    """Orders, groups, a layer and a block, for both sizes of windows."""
    weights = {name: execution.tensor(array) for name, array in case.weights().items()}
    coords = execution.tensor(np.ascontiguousarray(case.inputs["coords"][:, [0, 2, 3]], np.int32))
    counts = tuple(np.bincount(case.inputs["coords"][:, 0]).tolist())
    position = execution.tensor(ops.sine_table(468, 64))
    for variant, (window, group_size) in VARIANTS.items():
        settings = FlatFormerSettings(window=window, group_size=group_size)
        where = TokenSequences(coords, counts, settings.grid_size, window, group_size, execution.pillars)
        yield from _sequences(where, case, f"{variant}_")
        block = FlatFormerBlock(settings.channels, settings.heads, settings.hidden).to(execution.device).eval()
        prefix = "middle_encoder.block_list.0."
        own = {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}
        block.load_state_dict(own)
        features = execution.tensor(case.inputs["features"])
        with torch.inference_mode():
            first = to_numpy(block.block[0](features, where, 0, position))
            whole = to_numpy(block(features, where, position))
        order = to_numpy(where.order(0))
        yield _close(case, f"{variant}_layer0", first[order][::6], f"{variant}_layer0")
        yield _close(case, f"{variant}_block0", whole[case.outputs["rows"]], f"{variant}_block0")
    yield from _decoding(case, execution)


def _network(case: GoldenCase, execution: Execution) -> FlatFormer:
    """The case's detector; the encoder's case holds no weights of the dense part, which it does not run."""
    network = FlatFormer(FlatFormerSettings(), CLASSES)
    weights = {name: torch.from_numpy(np.array(array)) for name, array in case.weights().items()}
    missing = {name: value for name, value in network.state_dict().items() if name not in weights}
    if all(name.startswith(("backbone.", "neck.", "bbox_head.")) for name in missing):
        weights |= missing
    load_weights(network, weights, case.folder)
    return network.to(execution.device).eval()


def _clouds(case: GoldenCase, execution: Execution) -> list[torch.Tensor]:
    return [execution.tensor(case.inputs[name]) for name in sorted(case.inputs)]


def _places(encoded: Encoded, settings: FlatFormerSettings, case: GoldenCase, execution: Execution) -> Iterator[Check]:
    yield Check("coords", to_numpy(encoded.pillars.coords), case.outputs["coords"][:, [0, 2, 3]], EXACT)
    where = (encoded.pillars.coords, encoded.pillars.counts, settings.grid_size, settings.window, settings.group_size)
    yield from _sequences(TokenSequences(*where, execution.pillars), case, "")


def _sequences(where: TokenSequences, case: GoldenCase, prefix: str) -> Iterator[Check]:
    for number, name in enumerate(ORDER_NAMES):
        yield Check(f"{prefix}{name}", to_numpy(where.order(number)), case.outputs[f"{prefix}{name}"], EXACT)
    for name, found in zip(("flat2win", "win2flat"), where.groups, strict=False):
        yield Check(f"{prefix}{name}", to_numpy(found), case.outputs[f"{prefix}{name}"], EXACT)


def _decoding(case: GoldenCase, execution: Execution) -> Iterator[Check]:
    """Raw maps of 24 x 24 cells, of which 400 candidates are read."""
    decoding = CenterDecoding(candidates=400)
    maps = {
        name.removeprefix("raw_"): execution.tensor(array)
        for name, array in case.inputs.items()
        if name.startswith("raw_")
    }
    low, cells = -74.88, maps["heatmap"].shape[-1]
    high = low + cells * 0.32
    settings = FlatFormerSettings(range_m=(low, low, -2.0, high, high, 4.0))
    for number, candidates in enumerate(find_candidates(maps, settings, decoding)):
        yield from box_checks(case, candidates, f"decode_{number}_candidate_")
        yield from box_checks(case, suppress(candidates, decoding), f"decode_{number}_")


def _stored_cells(case: GoldenCase, name: str) -> tuple[int, int]:
    """The first row and column that the case holds of a map, and the distance of the next, from the spec's words."""
    words = case.spec.more["outputs"][name]
    found = re.search(r"every (\d+)\w+(?: row/column)? from (\d+)", words)
    if found is None:
        raise KeyError(f"'{words}' does not say which cells of {name} are stored")
    return int(found[2]), int(found[1])


def box_checks(case: GoldenCase, found: Candidates, prefix: str) -> Iterator[Check]:
    """Boxes as sets: each expected one beside the nearest of the same label, all of them used once."""
    expected = [case.outputs[f"{prefix}{part}"] for part in ("boxes", "scores", "labels")]
    parts = _to_official(found, z_at_bottom="candidate" not in prefix)
    rows = _matches(parts, expected)
    boxes, scores = (np.asarray(part)[rows] if rows is not None else np.empty(0) for part in parts[:2])
    if rows is not None:
        turn = boxes[:, 6] - expected[0][:, 6]
        boxes[:, 6] -= np.round(turn / (2 * np.pi)).astype(np.float32) * np.float32(2 * np.pi)
    yield Check(f"{prefix}boxes", boxes, expected[0], BOX_TOLERANCE, absolute=True)
    yield Check(f"{prefix}scores", scores, expected[1], SCORE_TOLERANCE, absolute=True)


def _matches(found: Any, expected: list[Array]) -> Array | None:
    """The row of the found box that is nearest to each expected one; None where the numbers of boxes differ."""
    boxes, scores, labels = found
    if not np.array_equal(np.sort(labels), np.sort(expected[2])):
        return None
    rows, free = np.empty(len(boxes), np.int64), np.ones(len(boxes), bool)
    for row, (box, score, label) in enumerate(zip(*expected, strict=True)):
        difference = np.abs(boxes - box)
        difference[:, 6] = np.abs((boxes[:, 6] - box[6] + np.pi) % (2 * np.pi) - np.pi)
        far = difference.max(1) + 10 * np.abs(scores - score) + 1e3 * ((labels != label) | ~free)
        rows[row] = far.argmin()
        free[rows[row]] = False
    return rows


def _close(case: GoldenCase, name: str, found: Array, stored: str) -> Check:
    return Check(name, found, case.outputs[stored], case.tolerance)


def _to_official(candidates: Candidates, z_at_bottom: bool) -> tuple[Array, Array, Array]:
    """Boxes as the official code writes them: yaw clockwise, and z at the bottom of final boxes."""
    boxes = candidates.boxes.copy()
    boxes[:, 6] = -boxes[:, 6]
    if z_at_bottom:
        boxes[:, 2] -= boxes[:, 5] / 2
    return boxes, candidates.scores, candidates.labels
