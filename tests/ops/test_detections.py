"""Peaks of heat maps, decoding and scores against the reference and the official code, cell by cell."""

import math

import numpy as np
import pytest
import torch

from perception import ops
from perception.ops import reference_boxes as reference

TRANSFUSION_WINDOWS = (3,) * 8 + (1, 1)
FLATFORMER = ops.BoxCoding((0.32, 0.32), (-74.88, -74.88), grid_width=24)
#: How the official code itself writes TransFusion's boxes: x, y, z, w, l, h, yaw clockwise.
TRANSFUSION = ops.BoxCoding((0.6, 0.6), (-54.0, -54.0), raise_by_heights=-0.5)


def draw_heatmap(shape, seed=0, dtype=np.float32) -> np.ndarray:
    """Logits, no two of a batch element equal unless float16 makes them so."""
    return np.random.default_rng(seed).normal(-2, 2, shape).astype(dtype)


def expected_peaks(heatmap, count, windows=3, quality=None, **options) -> list[np.ndarray]:
    sizes = (windows,) * heatmap.shape[1] if isinstance(windows, int) else windows
    quality = None if quality is None else torch.from_numpy(quality).double()
    values = torch.from_numpy(heatmap).double()
    return [part.numpy() for part in reference.heatmap_peaks(values, count, sizes, quality=quality, **options)]


def assert_peaks(found: ops.Peaks, expected) -> None:
    np.testing.assert_array_equal(found.labels, expected[1])
    np.testing.assert_array_equal(found.cells, expected[2])
    np.testing.assert_allclose(found.scores, expected[0], rtol=1e-5)


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (1, 3, 1, 40), (1, 2, 40, 1), (2, 3, 20, 23), (3, 10, 16, 16)])
@pytest.mark.parametrize("options", [{}, {"inner_only": True}, {"windows": 1}, {"sigmoid": False}], ids=str)
def test_peaks(device, threads, shape, dtype, options):
    heatmap = draw_heatmap(shape, dtype=dtype)
    most = int(np.prod(shape[1:]))
    for count in sorted({1, min(most, 50), most}):
        found = device.numpy(ops.heatmap_peaks(device.array(heatmap), count, threads=threads, **options))
        assert_peaks(found, expected_peaks(heatmap, count, **options))


def test_windows_of_classes(device, threads):
    heatmap = draw_heatmap((2, 10, 18, 20), 1)
    options = {"windows": TRANSFUSION_WINDOWS, "inner_only": True}
    found = device.numpy(ops.heatmap_peaks(device.array(heatmap), 200, threads=threads, **options))
    assert_peaks(found, expected_peaks(heatmap, 200, **options))


@pytest.mark.parametrize("power", [1, 2, 3])
@pytest.mark.parametrize("sigmoid", [True, False])
def test_quality_weighs_the_score(device, threads, power, sigmoid):
    heatmap = draw_heatmap((2, 3, 19, 21), 2)
    if not sigmoid:
        heatmap = np.abs(heatmap) + np.float32(0.1)
    quality = np.random.default_rng(3).uniform(-0.2, 1.2, (2, 1, 19, 21)).astype(np.float32)
    options = {"windows": 1, "quality_power": power, "sigmoid": sigmoid}
    given = (device.array(heatmap), 300)
    found = device.numpy(ops.heatmap_peaks(*given, quality=device.array(quality), threads=threads, **options))
    expected = expected_peaks(heatmap, 300, quality=quality, **options)
    np.testing.assert_allclose(found.scores, expected[0], rtol=1e-5)
    # Scores that differ by rounding alone may stand in another order: each has to be that of its cell.
    scores = expected_peaks(heatmap, 3 * 19 * 21, quality=quality, **options)
    for batch in range(2):
        by_cell = dict(zip(zip(scores[1][batch], scores[2][batch], strict=True), scores[0][batch], strict=True))
        cells = list(zip(found.labels[batch], found.cells[batch], strict=True))
        assert len(set(cells)) == 300
        np.testing.assert_allclose(found.scores[batch], [by_cell[cell] for cell in cells], rtol=1e-5)


def test_plateaus_and_too_few_peaks(device, threads):
    heatmap = np.full((1, 2, 5, 6), -3, np.float32)
    heatmap[0, 1, 2, 2:4] = 1.5
    heatmap[0, 0, 0, 0] = 1.5
    found = device.numpy(ops.heatmap_peaks(device.array(heatmap), 60, threads=threads))
    assert_peaks(found, expected_peaks(heatmap, 60))
    assert found.labels[0, :3].tolist() == [0, 1, 1]
    assert found.cells[0, :3].tolist() == [0, 14, 15]
    assert found.scores[0, -1] == 0


def test_what_is_not_finite_is_no_peak(device, threads):
    heatmap = draw_heatmap((1, 1, 4, 5), 4)
    clean = heatmap.copy()
    clean[0, 0, 1, 1] = clean[0, 0, 2, 4] = -np.inf
    heatmap[0, 0, 1, 1], heatmap[0, 0, 2, 4] = np.nan, -np.inf
    heatmap[0, 0, 3, 0] = clean[0, 0, 3, 0] = np.inf
    for windows in (1, 3):
        found = device.numpy(ops.heatmap_peaks(device.array(heatmap), 20, windows=windows, threads=threads))
        assert_peaks(found, expected_peaks(clean, 20, windows=windows))
        assert found.scores[0, 0] == 1


def test_empty_heatmaps(device):
    for shape, count in [((0, 3, 8, 8), 5), ((2, 3, 8, 8), 0), ((2, 0, 8, 8), 0), ((2, 3, 0, 8), 0)]:
        found = device.numpy(ops.heatmap_peaks(device.array(np.zeros(shape, np.float32)), count))
        assert [part.shape for part in found] == [(shape[0], count)] * 3


@pytest.mark.large
def test_peaks_of_a_large_map(device, threads):
    heatmap = draw_heatmap((1, 3, 468, 468), 5)
    for count, windows in ((4096, 1), (500, 3), (250_000, 1)):
        found = device.numpy(ops.heatmap_peaks(device.array(heatmap), count, windows=windows, threads=threads))
        assert_peaks(found, expected_peaks(heatmap, count, windows=windows))


def draw_maps(seed, batches, *spatial, dtype=np.float32) -> ops.BoxMaps:
    rng = np.random.default_rng(seed)
    return ops.BoxMaps(*(rng.normal(0, 1, (batches, channels, *spatial)).astype(dtype) for channels in (2, 1, 3, 2, 2)))


CODINGS = {
    "absolute": ops.BoxCoding((0.6, 0.3), (-54.0, 20.0)),
    "relative": ops.BoxCoding((0.32, 0.32), (-74.88, -74.88), grid_width=21),
    "of the house, from TransFusion": ops.BoxCoding(
        (0.6, 0.6), (-54, -54), 0, raise_by_heights=-0.5, width_first=True, yaw_sign=-1, yaw_offset_rad=-math.pi / 2
    ),
}


def expected_boxes(maps: ops.BoxMaps, coding: ops.BoxCoding, cells) -> np.ndarray:
    values = [torch.from_numpy(part).double() for part in maps]
    return reference.decode_boxes(values, cells=torch.from_numpy(cells), **vars(coding)).numpy()


@pytest.mark.parametrize("name", CODINGS)
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize(("batches", "count"), [(0, 4), (1, 0), (1, 1), (2, 200), (1, 5000)])
def test_decode(device, threads, name, dtype, batches, count):
    maps = draw_maps(1, batches, 19, 21, dtype=dtype)
    cells = np.random.default_rng(2).integers(0, 19 * 21, (batches, count)).astype(np.int32)
    given = (ops.BoxMaps(*map(device.array, maps)), CODINGS[name], device.array(cells))
    boxes = device.numpy(ops.decode_boxes(*given, threads))
    assert boxes.shape == (batches, count, 9)
    np.testing.assert_allclose(boxes, expected_boxes(maps, CODINGS[name], cells), rtol=1e-4, atol=2e-5)
    assert (np.abs(boxes[..., 6]) <= 3.1415928).all()


def test_decode_all_cells(device):
    maps = draw_maps(3, 2, 200)
    every = np.tile(np.arange(200, dtype=np.int32), (2, 1))
    coding = CODINGS["absolute"]
    given = ops.BoxMaps(*map(device.array, maps))
    boxes = device.numpy(ops.decode_boxes(given, coding))
    np.testing.assert_allclose(boxes, expected_boxes(maps, coding, every), rtol=1e-4, atol=2e-5)
    still = device.numpy(ops.decode_boxes(given._replace(velocity=None), coding))
    np.testing.assert_array_equal(still[..., :7], boxes[..., :7])
    assert np.isnan(still[..., 7:]).all()


def test_boxes_out_of_range_lose_their_score(device):
    maps = draw_maps(4, 2, 300)
    maps.height[0, 0, 5] = np.nan
    scores = np.random.default_rng(5).uniform(0.1, 1, (2, 300)).astype(np.float32)
    range_m = (-54.5, 19.8, -1, -53.4, 20.2, 1)
    given = (ops.BoxMaps(*map(device.array, maps)), CODINGS["absolute"], device.array(scores), range_m)
    boxes, kept = device.numpy(ops.decode_boxes_within(*given))
    within = (boxes[..., :3] >= np.float32(range_m[:3])).all(-1) & (boxes[..., :3] <= np.float32(range_m[3:])).all(-1)
    np.testing.assert_array_equal(kept, np.where(within, scores, 0))
    assert 0.1 < within.mean() < 0.9
    assert kept[0, 5] == 0


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_query_scores(device, dtype):
    logits = draw_heatmap((2, 10, 200), 6, dtype)
    rng = np.random.default_rng(7)
    labels, scores = rng.integers(0, 10, (2, 200)).astype(np.int32), rng.uniform(0, 1, (2, 200)).astype(np.float32)
    peaks = ops.Peaks(device.array(scores), device.array(labels), device.array(labels))
    result = device.numpy(ops.query_scores(device.array(logits), peaks))
    own = torch.from_numpy(logits).double().gather(1, torch.from_numpy(labels)[:, None].long())[:, 0]
    np.testing.assert_allclose(result, torch.sigmoid(own) * torch.from_numpy(scores), rtol=1e-5)


@pytest.mark.parametrize("batch", [0, 1])
def test_flatformer(device, shared, golden, batch):
    """FlatFormer's whole decoding: candidates, then boxes after suppression, as the official code gives them."""
    _, inputs, outputs = golden.load_case(shared / "golden" / "flatformer" / "ops")
    raw = {name: device.array(inputs[f"raw_{name}"][batch : batch + 1]) for name in ("heatmap", "iou", *MAP_NAMES)}
    peaks = ops.heatmap_peaks(raw["heatmap"], 400, windows=1, quality=raw["iou"])
    maps = ops.BoxMaps(*(raw[name] for name in MAP_NAMES))
    range_m = (-74.88, -74.88, -10, 74.88, 74.88, 10)
    boxes, scores = ops.decode_boxes_within(maps, FLATFORMER, peaks.scores, range_m, peaks.cells)
    boxes, scores, labels = (device.numpy(part)[0] for part in (boxes, scores, peaks.labels))
    chosen = scores > 0.1
    prefix = f"decode_{batch}"
    expected = [outputs[f"{prefix}_candidate_{name}"] for name in ("boxes", "scores", "labels")]
    assert_same_boxes((boxes[chosen], scores[chosen], labels[chosen]), expected)

    final = flatformer_suppression(device, boxes, scores, labels)
    expected = [outputs[f"{prefix}_{name}"] for name in ("boxes", "scores", "labels")]
    assert_same_boxes(final, expected)


def test_suppression_of_flatformer_on_a_real_cloud(device, shared, golden):
    _, _, outputs = golden.load_case(shared / "golden" / "flatformer" / "detector")
    candidates = [outputs[f"candidate_{name}"] for name in ("boxes", "scores", "labels")]
    expected = [outputs[name] for name in ("boxes", "scores", "labels")]
    assert_same_boxes(flatformer_suppression(device, *candidates), expected)


def flatformer_suppression(device, boxes, scores, labels) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Suppress within each class by the published limits, then let z be the bottom, as the official code does."""
    limits = zip((0.8, 0.55, 0.55), (2048, 1024, 1024), (300, 100, 100), strict=True)
    rules = [ops.ClassSuppression(limit, 0.1, candidates, kept) for limit, candidates, kept in limits]
    turned = boxes[:, :7] * np.float32([1, 1, 1, 1, 1, 1, -1])  # FlatFormer's yaw grows clockwise
    labels = labels.astype(np.int32)
    kept = device.numpy(ops.rotated_nms(device.array(turned), device.array(scores), rules, device.array(labels)))
    final = boxes[kept]
    final[:, 2] -= final[:, 5] / 2
    return final, scores[kept], labels[kept]


MAP_NAMES = ("reg", "height", "dim", "rot", "vel")


def assert_same_boxes(found, expected) -> None:
    """As sets: the nearest box of the same label within 1e-3 in every column, its score within 1e-4."""
    boxes, scores, labels = found
    assert len(boxes) == len(expected[0])
    np.testing.assert_array_equal(np.sort(labels), np.sort(expected[2]))
    free = np.ones(len(boxes), bool)
    for box, score, label in zip(*expected, strict=True):
        difference = np.abs(boxes - box)
        difference[:, 6] = np.abs((boxes[:, 6] - box[6] + np.pi) % (2 * np.pi) - np.pi)
        far = difference.max(1) + 10 * np.abs(scores - score) + 100 * ((labels != label) | ~free)
        assert difference[far.argmin()].max() < 1e-3
        assert abs(scores[far.argmin()] - score) < 1e-4
        assert free[far.argmin()]
        free[far.argmin()] = False


def test_transfusion(device, shared, golden):
    """TransFusion's boxes and scores from the official raw heads, query by query."""
    spec, _, outputs = golden.load_case(shared / "golden" / "bevfusion" / "fusion_head_det")
    names = ("center", "height", "dim", "rot", "vel")
    maps = ops.BoxMaps(*(device.array(outputs[f"raw.{name}"]) for name in names))
    tolerance = spec["tolerance"]["relative_error"]
    assert golden.relative_error(device.numpy(ops.decode_boxes(maps, TRANSFUSION))[0], outputs["boxes"]) < tolerance
    labels = outputs["proposal_class"].astype(np.int32)
    of_class = outputs["raw.query_heatmap_score"][0, labels, np.arange(200)]
    peaks = ops.Peaks(device.array(of_class[None]), device.array(labels[None]), device.array(labels[None]))
    scores = device.numpy(ops.query_scores(device.array(outputs["raw.heatmap"]), peaks))
    assert golden.relative_error(scores[0], outputs["scores"]) < tolerance
    np.testing.assert_array_equal(labels, outputs["labels"])


def test_transfusion_in_the_order_of_the_house(device, shared, golden):
    """A box of the house covers the same ground: length and width swap, and yaw = -yaw_old - pi / 2."""
    _, _, outputs = golden.load_case(shared / "golden" / "bevfusion" / "fusion_head_det")
    names = ("center", "height", "dim", "rot", "vel")
    maps = ops.BoxMaps(*(device.array(outputs[f"raw.{name}"]) for name in names))
    boxes = device.numpy(ops.decode_boxes(maps, CODINGS["of the house, from TransFusion"]))[0]
    official = outputs["boxes"][:, :7].copy()
    official[:, 6] *= -1
    overlap = ops.box_iou_aligned(np.ascontiguousarray(boxes[:, :7]), official, three_d=True)
    np.testing.assert_allclose(overlap, 1, atol=1e-4)
    np.testing.assert_allclose(boxes[:, 3:5], official[:, [4, 3]], rtol=1e-5)


def test_bad_calls():
    heatmap, maps = draw_heatmap((1, 2, 4, 5)), draw_maps(0, 1, 4, 5)
    with pytest.raises(ValueError, match="heatmap must be float32 or float16, found float64"):
        ops.heatmap_peaks(heatmap.astype(np.float64), 3)
    with pytest.raises(ValueError, match=r"count must lie in 0..classes \* height \* width"):
        ops.heatmap_peaks(heatmap, 41)
    with pytest.raises(ValueError, match=r"count must lie in 0..classes \* height \* width"):
        ops.heatmap_peaks(heatmap, -1)
    with pytest.raises(ValueError, match="windows must be 1 or 3 cells wide"):
        ops.heatmap_peaks(heatmap, 1, windows=2)
    with pytest.raises(ValueError, match="a size for each of 2 classes, found 3"):
        ops.heatmap_peaks(heatmap, 1, windows=(1, 3, 1))
    with pytest.raises(ValueError, match=r"quality must have the shape \[1, 1, 4, 5\]"):
        ops.heatmap_peaks(heatmap, 1, quality=heatmap)
    with pytest.raises(ValueError, match="quality must be float32, found float16"):
        ops.heatmap_peaks(heatmap, 1, quality=heatmap[:, 0].astype(np.float16))
    with pytest.raises(ValueError, match=r"the power of the quality must lie in 1..8"):
        ops.heatmap_peaks(heatmap, 1, quality=heatmap[:, 0].copy(), quality_power=9)
    with pytest.raises(ValueError, match=r"size must have the shape \[1, 3, 4, 5\]"):
        ops.decode_boxes(maps._replace(size=maps.center), CODINGS["absolute"])
    with pytest.raises(ValueError, match="an index names a cell that does not exist"):
        ops.decode_boxes(maps, CODINGS["absolute"], np.array([[0, 20]], np.int32))
    with pytest.raises(ValueError, match="range_m must be 6 numbers, found 3"):
        ops.decode_boxes_within(maps, CODINGS["absolute"], np.zeros((1, 20), np.float32), (0, 0, 0))
    with pytest.raises(ValueError, match="the width of the grid is negative"):
        ops.decode_boxes(maps, ops.BoxCoding((1, 1), (0, 0), grid_width=-1))
    peaks = ops.Peaks(np.zeros((1, 5), np.float32), np.full((1, 5), 4, np.int32), np.zeros((1, 5), np.int32))
    with pytest.raises(ValueError, match="a label names a class that does not exist"):
        ops.query_scores(
            heatmap[0].copy(), peaks._replace(scores=np.zeros((2, 5), np.float32), labels=np.full((2, 5), 4, np.int32))
        )
