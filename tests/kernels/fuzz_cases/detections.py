"""Boxes, suppression, peaks, decoding."""

import numpy as np

from perception import ops


def _boxes(draw, rows=None):
    boxes = draw.host_floats(draw.rows() if rows is None else rows, draw.choice(7, 7, 5, 9), scale=2)
    boxes[:, 3:6] = np.abs(boxes[:, 3:6])
    return draw.put(boxes)


def fuzz_box_iou(draw):
    first = _boxes(draw)
    ops.box_iou(first, _boxes(draw), three_d=draw.choice(True, False))
    ops.box_iou_aligned(first, first, three_d=draw.choice(True, False))


def _suppress(draw, function):
    boxes = _boxes(draw)
    classes, rows = draw.integer(1, 3), len(boxes)
    rules = [
        ops.ClassSuppression(
            draw.choice(0.1, 0.5, 2.0), draw.choice(0.0, 0.3), draw.integer(1, 50), draw.integer(1, 20)
        )
        for _ in range(classes)
    ]
    labels = draw.integers(rows, 0, classes - 1) if classes > 1 else None
    function(boxes, draw.floats(rows), rules if classes > 1 else rules[0], labels)


def fuzz_rotated_nms(draw):
    _suppress(draw, ops.rotated_nms)


def fuzz_circle_nms(draw):
    _suppress(draw, ops.circle_nms)


def _maps(draw, batch, height, width, dtype):
    def one(channels):
        return draw.floats(batch, channels, height, width, dtype=dtype)

    return ops.BoxMaps(one(2), one(1), one(3), one(2), draw.choice(None, one(2)))


def fuzz_peaks_and_boxes(draw):
    batch, classes, height, width = draw.integer(1, 2), draw.integer(1, 4), draw.integer(1, 9), draw.integer(1, 40)
    dtype = draw.choice(np.float32, np.float16)
    heatmap = draw.floats(batch, classes, height, width, dtype=dtype)
    count = draw.integer(0, classes * height * width + 1)
    windows = draw.choice(1, 3, [draw.choice(1, 3) for _ in range(classes)])
    quality = draw.choice(None, draw.floats(batch, 1, height, width, dtype=dtype))
    options = {"inner_only": draw.choice(True, False), "sigmoid": draw.choice(True, False), "quality": quality}
    peaks = ops.heatmap_peaks(heatmap, count, windows=windows, **options)
    coding = ops.BoxCoding((0.4, 0.4), (-10.0, -10.0), draw.choice(0, width), draw.choice(0.0, 0.5))
    maps = _maps(draw, batch, height, width, dtype)
    ops.decode_boxes(maps, coding, peaks.cells)
    ops.decode_boxes(maps, coding, draw.integers((batch, 4), -1, height * width))
    ops.decode_boxes_within(maps, coding, peaks.scores, (-9, -9, -5, 9, 9, 5), peaks.cells)
    ops.query_scores(draw.floats(batch, classes, count, dtype=dtype), peaks)
