from functools import lru_cache

import numpy as np
import pytest
import torch
from PIL import Image

from perception import ops
from perception.ops import reference_images as reference
from perception.ops.images import ENCODINGS

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
FILTERS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}
BYTES = {"rgb8": 3, "bgr8": 3, "rgba8": 4, "bgra8": 4, "yuv422": 2, "yuv422_yuy2": 2}
# height, width and what they are resized to
GEOMETRIES = {
    "one pixel": ((1, 1), (1, 1)),
    "from one pixel": ((1, 1), (5, 3)),
    "to one pixel": ((9, 14), (1, 1)),
    "same": ((13, 18), (13, 18)),
    "smaller": ((60, 82), (29, 39)),
    "much smaller": ((90, 150), (7, 11)),
    "larger": ((9, 10), (31, 33)),
    "taller and narrower": ((20, 60), (33, 17)),
    "wider and flatter": ((60, 20), (17, 33)),
}


def bytes_of(size, encoding, padding=0):
    """An image's random bytes, uint8 [height, step]."""
    height, width = size
    rng = np.random.default_rng([height, width, padding])
    return rng.integers(0, 256, (height, width * BYTES.get(encoding, 1) + padding), dtype=np.uint8)


@lru_cache
def pillow(size, encoding, resized, method):
    """Decoded by the reference and resized by Pillow, in two steps: columns first in every version of it."""
    pixels = reference.decode(torch.from_numpy(bytes_of(size, encoding)), encoding, size[1])
    image = Image.fromarray(pixels.numpy().astype(np.uint8)).resize((resized[1], size[0]), FILTERS[method])
    return np.asarray(image.resize((resized[1], resized[0]), FILTERS[method]))


def levels(result):
    """Grey levels of a result without normalisation that has its channels last."""
    assert np.isfinite(result).all()
    return np.rint(result * 255).astype(int)


def run(device, values, encoding, tables, **options):
    return device.numpy(ops.resize_normalize(device.array(values), encoding, tables.place(device.array), **options))


@pytest.mark.parametrize("method", FILTERS)
@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_resizing_equals_pillow_and_the_reference(device, geometry, method, threads):
    size, resized = GEOMETRIES[geometry]
    tables = ops.resize_tables(size, resized, method=method)
    values = bytes_of(size, "rgb8")
    result = levels(run(device, values, "rgb8", tables, channels_last=True, threads=threads))
    np.testing.assert_array_equal(result, pillow(size, "rgb8", resized, method))
    pixels = reference.resize(reference.decode(torch.from_numpy(values), "rgb8", size[1]), resized, method)
    np.testing.assert_array_equal(result, pixels.numpy())


@pytest.mark.parametrize("padding", [0, 5])
@pytest.mark.parametrize("size", [(2, 2), (3, 4), (14, 22)])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_every_encoding_is_decoded(device, encoding, size, padding):
    values = bytes_of(size, encoding, padding)
    result = levels(run(device, values, encoding, ops.resize_tables(size, size), channels_last=True))
    expected = reference.decode(torch.from_numpy(values), encoding, size[1])
    np.testing.assert_array_equal(result, expected.numpy())


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_every_encoding_is_resized(device, encoding):
    size, resized = (30, 44), (17, 21)
    result = run(device, bytes_of(size, encoding), encoding, ops.resize_tables(size, resized), channels_last=True)
    np.testing.assert_array_equal(levels(result), pillow(size, encoding, resized, "bicubic"))


def test_colours_are_where_their_names_say(device):
    red = {
        "rgb8": [255, 0, 0] * 4,
        "bgr8": [0, 0, 255] * 4,
        "rgba8": [255, 0, 0, 9] * 4,
        "bgra8": [0, 0, 255, 9] * 4,
        "yuv422": [90, 81, 240, 81] * 2,
        "yuv422_yuy2": [81, 90, 81, 240] * 2,
    }
    tables = ops.resize_tables((2, 2), (2, 2))
    for encoding, values in red.items():
        rows = np.array(values, np.uint8).reshape(2, -1)
        result = levels(run(device, rows, encoding, tables, channels_last=True))
        np.testing.assert_allclose(result, np.broadcast_to([255, 0, 0], (2, 2, 3)), atol=1)
    for encoding, pixel in {"rggb": (0, 0), "bggr": (1, 1), "gbrg": (1, 0), "grbg": (0, 1)}.items():
        mosaic = np.zeros((2, 2), np.uint8)
        mosaic[pixel] = 200
        result = levels(run(device, mosaic, f"bayer_{encoding}8", tables, channels_last=True))
        assert result[pixel].tolist() == [200, 0, 0]


def test_studio_range_black_and_white():
    tables = ops.resize_tables((1, 2), (1, 2))
    result = ops.resize_normalize(np.array([[128, 16, 128, 235]], np.uint8), "yuv422", tables, channels_last=True)
    np.testing.assert_array_equal(levels(result), [[[0, 0, 0], [255, 255, 255]]])


CROPS = {
    "inside": (5, 7, 11, 13),
    "a corner": (0, 0, 1, 1),
    "all": (0, 0, 29, 39),
    "beyond the lower right": (20, 30, 15, 20),
    "beyond all borders": (-3, -4, 40, 50),
    "wholly outside": (100, -70, 4, 5),
}


@pytest.mark.parametrize("crop", CROPS)
def test_crops_equal_pillow(device, crop):
    (size, resized), (top, left, height, width) = GEOMETRIES["smaller"], CROPS[crop]
    tables = ops.resize_tables(size, resized, CROPS[crop])
    result = run(device, bytes_of(size, "rgb8"), "rgb8", tables, channels_last=True)
    expected = Image.fromarray(pillow(size, "rgb8", resized, "bicubic")).crop((left, top, left + width, top + height))
    np.testing.assert_array_equal(levels(result), np.asarray(expected))


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("bgr", [False, True])
def test_values_are_normalised_and_laid_out(device, dtype, channels_last, bgr, threads):
    size, resized = GEOMETRIES["smaller"]
    options = {"dtype": dtype, "channels_last": channels_last, "bgr": bgr, "threads": threads}
    tables = ops.resize_tables(size, resized)
    result = run(device, bytes_of(size, "rgb8"), "rgb8", tables, mean=MEAN, std=STD, **options)
    pixels = torch.from_numpy(pillow(size, "rgb8", resized, "bicubic").astype(np.int64))
    expected = reference.normalize(pixels.flip(2) if bgr else pixels, MEAN, STD).numpy()
    assert result.dtype == dtype
    tolerance = 1e-6 if dtype == np.float32 else 1e-3
    np.testing.assert_allclose(
        result, expected.transpose(1, 2, 0) if channels_last else expected, rtol=tolerance, atol=tolerance
    )


def test_a_camera_writes_its_part_of_a_batch(device):
    size, resized = GEOMETRIES["smaller"]
    tables, values = ops.resize_tables(size, resized).place(device.array), device.array(bytes_of(size, "bgr8"))
    batch = device.array(np.full((3, 3, *resized), 7, np.float32))
    parts = [batch[i : i + 1].reshape(3, *resized) for i in range(3)]
    ops.resize_normalize(values, "bgr8", tables, out=parts[1])
    np.testing.assert_array_equal(device.numpy(parts[1]), device.numpy(ops.resize_normalize(values, "bgr8", tables)))
    assert (device.numpy(batch)[[0, 2]] == 7).all()


@pytest.mark.large
def test_a_whole_camera_image(device, threads):
    size, resized, crop = (900, 1600), (432, 768), (176, 32, 256, 704)
    result = run(device, bytes_of(size, "rgb8"), "rgb8", ops.resize_tables(size, resized, crop), channels_last=True)
    expected = pillow(size, "rgb8", resized, "bicubic")[176:, 32:736]
    np.testing.assert_array_equal(levels(result), expected)


@pytest.mark.large
def test_the_official_input_pipeline(shared, golden, device):
    _, inputs, _ = golden.load_case(shared / "golden" / "bevfusion" / "end_to_end_det")
    cameras = ("FRONT", "FRONT_RIGHT", "FRONT_LEFT", "BACK", "BACK_LEFT", "BACK_RIGHT")
    tables = ops.resize_tables((900, 1600), (432, 768), (176, 32, 256, 704))
    for camera, expected in zip(cameras, inputs["images_uint8"], strict=True):
        (file,) = (shared / "data" / "nuscenes_sample").glob(f"*__CAM_{camera}__*")
        image = np.asarray(Image.open(file).convert("RGB"))
        difference = np.abs(levels(run(device, image, "rgb8", tables, channels_last=True)) - expected)
        assert difference.max() <= 1  # JPEG decoders differ


def test_bad_calls_say_what_is_wrong(device):
    tables = ops.resize_tables((4, 6), (2, 3)).place(device.array)
    image = device.array(np.zeros((4, 18), np.uint8))
    small = device.array(np.zeros((4, 5), np.uint8))
    for message, call in {
        "the encoding must be one of rgb8, .*, found '16UC1'": lambda: ops.resize_normalize(image, "16UC1", tables),
        "image must be uint8": lambda: ops.resize_normalize(device.array(np.zeros((4, 18))), "rgb8", tables),
        "image must have 4 rows of equal length, found 54 bytes": lambda: ops.resize_normalize(
            device.array(np.zeros((3, 18), np.uint8)), "rgb8", tables
        ),
        "the step must be at least the bytes of a row": lambda: ops.resize_normalize(small, "mono8", tables),
        "std positive": lambda: ops.resize_normalize(image, "rgb8", tables, std=(1, 0, 1)),
        "dtype must be float32 or float16": lambda: ops.resize_normalize(image, "rgb8", tables, dtype=np.uint8),
        "out must be float32, found uint8": lambda: ops.resize_normalize(image, "rgb8", tables, out=image),
        "method must be one of bilinear, bicubic": lambda: ops.resize_tables((4, 6), (2, 3), method="nearest"),
        "all sizes must be at least 1": lambda: ops.resize_tables((4, 6), (0, 3)),
        "even width": lambda: ops.resize_normalize(
            device.array(np.zeros((4, 10), np.uint8)),
            "yuv422",
            ops.resize_tables((4, 5), (2, 3)).place(device.array),
        ),
        "at least 2 rows and columns": lambda: ops.resize_normalize(
            device.array(np.zeros((1, 6), np.uint8)),
            "bayer_rggb8",
            ops.resize_tables((1, 6), (1, 3)).place(device.array),
        ),
        "first_row and row_count": lambda: ops.resize_normalize(image, "rgb8", tables._replace(source_rows=(3, 2))),
    }.items():
        with pytest.raises(ValueError, match=message):
            call()


@pytest.mark.parametrize("name", ["column_begins", "row_begins"])
@pytest.mark.parametrize("value", [-100, 100, -(2**31), 2**31 - 1])
def test_tables_that_lead_astray_are_errors_on_the_cpu_and_never_followed_on_a_gpu(device, name, value):
    tables = ops.resize_tables((4, 6), (2, 3))
    begins = getattr(tables, name).copy()
    begins[1] = value
    tables = tables._replace(**{name: begins}).place(device.array)
    image = device.array(np.full((4, 18), 255, np.uint8))
    if device.kind == "cpu":
        with pytest.raises(ValueError, match="begins names source rows or columns that do not exist"):
            ops.resize_normalize(image, "rgb8", tables)
    else:
        result = device.numpy(ops.resize_normalize(image, "rgb8", tables))
        astray = (slice(None), 1) if name == "row_begins" else (slice(None), slice(None), 1)
        assert not result[astray].any()
        assert np.count_nonzero(result == 1) == result.size - result[astray].size
