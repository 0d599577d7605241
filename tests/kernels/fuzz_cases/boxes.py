"""Boxes: overlaps, suppression, peaks, decoding."""

import numpy as np

from perception import ops


def _boxes(draw, rows, columns=7):
    return draw.floats(rows, columns, scale=draw.choice(1.0, 5.0, 1e-20, 1e20))


def fuzz_box_iou(draw):
    columns, three_d = draw.choice(7, 9, 3), draw.choice(True, False)
    first, second = _boxes(draw, draw.rows(), columns), _boxes(draw, draw.rows(), columns)
    ops.box_iou(first, second, three_d=three_d)
    ops.box_iou_aligned(first, _boxes(draw, len(first), columns), three_d=three_d)


def fuzz_nms(draw):
    rows, classes = draw.rows(200), draw.integer(1, 4)
    limits = [draw.choice(0.0, 0.3, 1.0, 5.0, float("inf"), float("nan"), -1.0) for _ in range(classes)]
    rules = [
        ops.ClassSuppression(limit, draw.choice(0.0, -1.0, 0.5), draw.choice(0, 5, 70, 2**31), draw.choice(0, 3, 2**31))
        for limit in limits
    ]
    labels = draw.choice(None, draw.integers(rows, 0, classes - 1))
    draw.choice(ops.rotated_nms, ops.circle_nms)(_boxes(draw, rows), draw.floats(rows), rules, labels)


def fuzz_heatmap_peaks(draw):
    batches, classes, height, width = draw.integer(0, 3), draw.integer(0, 4), draw.integer(0, 20), draw.integer(0, 40)
    dtype = draw.choice(np.float32, np.float16)
    most = classes * height * width
    options = {
        "windows": [draw.choice(1, 3) for _ in range(classes)],
        "inner_only": draw.choice(True, False),
        "sigmoid": draw.choice(True, False),
        "quality": draw.choice(None, draw.floats(batches, 1, height, width, dtype=dtype)),
        "quality_power": draw.choice(1, 2, 8, 0),
    }
    heatmap = draw.floats(batches, classes, height, width, dtype=dtype, scale=3)
    ops.heatmap_peaks(heatmap, draw.choice(0, min(most, 5), most, most + 1), **options)


def fuzz_decode_boxes(draw):
    batches, cells, count = draw.integer(0, 3), draw.rows(), draw.rows()
    dtype = draw.choice(np.float32, np.float16)
    maps = ops.BoxMaps(*(draw.floats(batches, channels, cells, dtype=dtype) for channels in (2, 1, 3, 2, 2)))
    coding = ops.BoxCoding((0.3, 0.3), (-54, -54), draw.choice(0, 1, 13), -0.5, draw.choice(True, False))
    indices = draw.integers((batches, count), 0, cells - 1)
    ops.decode_boxes_within(maps, coding, draw.floats(batches, count), (-50, -50, -5, 50, 50, 5), indices)
    ops.decode_boxes(maps._replace(velocity=None), coding)


def fuzz_query_scores(draw):
    batches, classes, queries = draw.integer(0, 3), draw.integer(1, 10), draw.rows()
    labels = draw.integers((batches, queries), 0, classes - 1)
    peaks = ops.Peaks(draw.floats(batches, queries), labels, labels)
    ops.query_scores(draw.floats(batches, classes, queries, dtype=draw.choice(np.float32, np.float16)), peaks)
