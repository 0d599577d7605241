"""Dense regions on a real GPU, where there is one with TensorRT: what it computes is what the CPU computes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from perception.configuration import ConfigurationError
from perception.runtime.dense import load_region
from perception.runtime.dense.calibration import calibrate
from perception.runtime.dense.engine_cache import EngineCache
from perception.runtime.dense.engines import EngineOptions
from perception.runtime.dense.file_cache import FileCache
from perception.runtime.dense.settings import EngineSettings, Precision, SizeRange
from perception.runtime.dense.tensorrt_module import find_tensorrt
from perception.runtime.device import DeviceArray, Streams, open_device
from tests.runtime.dense.networks import convolution

TOLERANCES: dict[Precision, float] = {"exported": 2e-3, "fp16": 1e-2, "int8": 0.05}  # TF32 rounds to 10 bits too


@pytest.mark.gpu
@pytest.mark.parametrize("precision", TOLERANCES)
def test_a_region_computes_what_the_cpu_computes(device: object, tmp_path: Path, precision: Precision) -> None:
    try:
        find_tensorrt()
    except ConfigurationError as error:
        pytest.skip(str(error))
    path, _ = convolution(tmp_path / "net.onnx")
    features = np.random.default_rng(0).normal(size=(5, 3, 4, 4)).astype(np.float32)
    files = FileCache(tmp_path / "cache")
    calibrate(path, [{"features": features}], files=files)
    settings = EngineSettings(precision=precision, sizes={"blocks": SizeRange(1, 4, 8)})
    streams = Streams(open_device())
    exact = load_region(path).run({"features": features})["result"]
    for _ in range(2):  # built, and from the cache
        region = load_region(path, "cuda", options=EngineOptions(settings, EngineCache(files)))
        for rows in (5, 1):
            given = DeviceArray.from_host(streams, features[:rows])
            found = region.run({"features": given})["result"].to_host()
            np.testing.assert_allclose(found, exact[:rows], atol=TOLERANCES[precision] * np.abs(exact).max())
        region.close()
    assert len(list(files.folder.glob("*.engine"))) == 1
