import gc
import warnings

import numpy as np
import pytest

from perception.runtime.dense.region import TensorSpec
from perception.runtime.device.arrays import DeviceArray
from perception.runtime.device.device import Device
from perception.runtime.device.graphs import MOST_GRAPHS, CapturedWork, GraphedRegion, with_graphs
from perception.runtime.device.streams import EventTimer, Streams
from tests.runtime.device.accesses import HarnessError
from tests.runtime.device.host_driver import HostDriver

VALUES = np.arange(600, dtype=np.float32).reshape(100, 6)


class Doubling:
    """Work that counts how often it is queued: target = 2 * source, by a made-up kernel."""

    def __init__(self, streams, driver):
        self.streams, self.driver, self.queued = streams, driver, 0

    def __call__(self, source, target):
        self.queued += 1
        data = [array.__cuda_array_interface__["data"][0] for array in (source, target)]

        def kernel():
            views = [self.driver._bytes(address, source.nbytes).view(np.float32) for address in data]
            views[1][:] = 2 * views[0]

        self.driver.kernel(self.streams.current, kernel)


@pytest.fixture
def doubling(streams, driver):
    return Doubling(streams, driver)


def test_work_is_captured_the_second_time_and_launched_from_then_on(streams, driver, doubling):
    source, target = (DeviceArray.from_host(streams, VALUES) for _ in range(2))
    work = CapturedWork(streams, "network")
    for number in range(5):
        source.copy_from(VALUES + number)
        work.run(lambda: doubling(source, target), [source, target])
        np.testing.assert_array_equal(target.to_host(), 2 * (VALUES + number))
    assert doubling.queued == 2
    assert driver.log.count(("launch", streams.main)) == 4
    work.close()
    assert driver._graphs == {}


def test_other_shapes_and_addresses_are_captured_anew(streams, driver, doubling):
    work = CapturedWork(streams, "network")
    pairs = [[DeviceArray.from_host(streams, VALUES[:rows]) for _ in range(2)] for rows in (100, 100, 50)]
    for number in range(4):
        for source, target in pairs:
            source.copy_from(VALUES[: len(source)] * number)
            work.run(lambda source=source, target=target: doubling(source, target), [source, target])
            np.testing.assert_array_equal(target.to_host(), 2 * VALUES[: len(source)] * number)
    assert doubling.queued == 6
    assert len(driver._graphs) == 3


def test_only_a_few_graphs_are_kept(streams, driver, doubling):
    work = CapturedWork(streams, "network")
    pairs = [[DeviceArray.from_host(streams, VALUES) for _ in range(2)] for _ in range(MOST_GRAPHS + 2)]
    for _ in range(2):
        for source, target in pairs:
            work.run(lambda source=source, target=target: doubling(source, target), [source, target])
    assert len(driver._graphs) == MOST_GRAPHS


def test_work_with_branches_is_captured(streams, doubling):
    source, first, second = (DeviceArray.from_host(streams, VALUES) for _ in range(3))

    def both():
        with streams.fork("camera"):
            doubling(source, first)
        with streams.fork("lidar"):
            doubling(source, second)
        streams.join("camera", "lidar")

    work = CapturedWork(streams, "network")
    for number in range(4):
        source.copy_from(VALUES * number)
        work.run(both, [source, first, second])
        np.testing.assert_array_equal(first.to_host(), 2 * VALUES * number)
        np.testing.assert_array_equal(second.to_host(), 2 * VALUES * number)
    assert doubling.queued == 4


def allocates(streams, array):
    DeviceArray.empty(streams, (5,), np.float32)


def waits(streams, array):
    streams.synchronize()


def times(streams, array):
    with EventTimer(streams).stage("inner"):
        pass


def forgets_to_join(streams, array):
    with streams.fork("camera"):
        array.copy_from(array)


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (allocates, "must not allocate memory"),
        (waits, "a captured stream is waited for"),
        (times, "a stage must not begin inside"),
        (forgets_to_join, "was not joined"),
    ],
)
def test_what_cannot_be_captured_runs_as_it_is_with_one_warning(streams, driver, doubling, wrong, reason):
    source, target = (DeviceArray.from_host(streams, VALUES) for _ in range(2))
    work = CapturedWork(streams, "the head")

    def run():
        doubling(source, target)
        wrong(streams, target)
        streams.join("camera")

    if wrong is forgets_to_join:
        run = lambda: (doubling(source, target), wrong(streams, target))  # noqa: E731
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for number in range(4):
            source.copy_from(VALUES * number)
            work.run(run, [source, target])
            streams.join("camera")
            np.testing.assert_array_equal(target.to_host(), 2 * VALUES * number)
    assert [str(one.message).split(":")[0] for one in caught] == ["the head runs without a CUDA graph"]
    assert reason in str(caught[0].message)
    assert driver._graphs == {}
    assert not streams.capturing


@pytest.mark.filterwarnings("ignore:network runs without")
def test_an_error_of_the_work_itself_is_raised(streams):
    work, array = CapturedWork(streams, "network"), DeviceArray.from_host(streams, VALUES)

    def wrong():
        raise ValueError("these sizes do not fit")

    for _ in range(3):
        with pytest.raises(ValueError, match="do not fit"):
            work.run(wrong, [array])


def test_the_harness_sees_work_beside_the_capture(streams, driver, doubling):
    source, target = (DeviceArray.from_host(streams, VALUES) for _ in range(2))
    other = streams.named("camera")
    work = CapturedWork(streams, "network")

    def beside():
        streams.current = other  # without a fork
        try:
            doubling(source, target)
        finally:
            streams.current = streams.main

    streams.order(streams.main, other)
    work.run(beside, [source, target])
    streams.order(other, streams.main)
    with pytest.raises(HarnessError, match="beside a capture"):
        work.run(beside, [source, target])
    driver.errors.clear()


def test_memory_that_goes_during_a_capture_is_given_back_after_it(streams, gpu, driver, doubling):
    source, target = (DeviceArray.from_host(streams, VALUES) for _ in range(2))
    others = [DeviceArray.from_host(streams, VALUES) for _ in range(2)]
    work, used = CapturedWork(streams, "network"), gpu.pool.used_bytes

    def drops():
        doubling(source, target)
        others.pop()
        gc.collect()

    for _ in range(2):
        work.run(drops, [source, target])
    assert gpu.pool.used_bytes < used
    np.testing.assert_array_equal(target.to_host(), 2 * VALUES)


def test_without_graphs_nothing_is_captured():
    driver = HostDriver(graphs=False)
    streams = Streams(Device(driver))
    array, calls = DeviceArray.from_host(streams, VALUES), []
    work = CapturedWork(streams, "network")
    for number in range(3):
        work.run(lambda number=number: calls.append(number), [array])
    assert calls == [0, 1, 2]


class Region:
    """A dense region that doubles its input, as TensorRT would queue it."""

    def __init__(self, doubling, rows):
        self.doubling, self.closed = doubling, False
        self.inputs = self.outputs = {"x": TensorSpec(np.dtype(np.float32), (rows, 6))}

    def run(self, inputs, out=None):
        self.doubling(inputs["x"], out["x"])
        return dict(out)

    def close(self):
        self.closed = True


def test_a_region_of_fixed_shapes_is_launched_as_a_graph(streams, doubling):
    region = Region(doubling, 100)
    graphed = with_graphs(streams, region, "bev.onnx")
    source = DeviceArray.empty(streams, (100, 6), np.float32)
    for number in range(6):
        source.copy_from(VALUES * number)
        result = graphed.run({"x": source})["x"]
        np.testing.assert_array_equal(result.to_host(), 2 * VALUES * number)
    target = DeviceArray.empty(streams, (100, 6), np.float32)
    assert graphed.run({"x": source}, {"x": target})["x"] is target
    np.testing.assert_array_equal(target.to_host(), 2 * VALUES * 5)
    graphed.close()
    assert region.closed


def test_a_region_of_other_shapes_stays_as_it_is(streams, doubling):
    region = Region(doubling, None)
    assert with_graphs(streams, region, "blocks.onnx") is region
    assert isinstance(with_graphs(streams, Region(doubling, 5), "bev.onnx"), GraphedRegion)
