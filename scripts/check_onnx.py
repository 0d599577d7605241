"""Parse and build every shipped ONNX network with TensorRT, without a GPU. Run through `make onnx-check`.

TensorRT for RTX builds engines on any machine with x86-64. What it cannot parse, the TensorRT of a robot cannot
either; better to hear of it here than at the start of a robot. It is installed into build/tensorrt_rtx, not into the
virtual environment, and tests that want it find it there.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import onnx

from perception.bundle.format import DESCRIPTION_FILE
from perception.bundle.loading import load_bundle
from perception.configuration import ConfigurationError
from perception.runtime.dense.onnx_file import read_network
from perception.runtime.dense.settings import EngineSettings, SizeRange
from perception.runtime.dense.sizes import region_sizes
from perception.runtime.dense.tensorrt_build import build_engine, unsupported_operations
from perception.runtime.dense.tensorrt_module import TensorRt, find_tensorrt

TOP = Path(__file__).resolve().parents[1]
MODELS = TOP / "config" / "models"
FOLDER = TOP / "build" / "tensorrt_rtx"
REQUIREMENTS = TOP / "scripts" / "tensorrt-rtx-requirements.txt"
#: For networks outside a bundle, which do not say how large they get.
ANY_SIZE = SizeRange(1, 8, 64)


@dataclass(frozen=True)
class Result:
    """What came of one file.

    Attributes:
        file: the network.
        layers: how many TensorRT read; 0 if it could not.
        engine_bytes: size of the engine; 0 if there is none.
        seconds: how long the build took.
        problems: operations that TensorRT does not know, or why the build failed.
    """

    file: Path
    layers: int = 0
    engine_bytes: int = 0
    seconds: float = 0.0
    problems: tuple[str, ...] = ()


def say(message: str) -> None:
    """Tell one thing."""
    print(f"onnx-check: {message}", flush=True)


def install() -> bool:
    """Fetch TensorRT for RTX once; whether it is there."""
    stamp = FOLDER / "complete"
    wanted = REQUIREMENTS.read_text()
    if not stamp.is_file() or stamp.read_text() != wanted:
        shutil.rmtree(FOLDER, ignore_errors=True)
        say("installing TensorRT for RTX ...")
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
        done = subprocess.run([*pip, "--target", str(FOLDER), "-r", str(REQUIREMENTS)], capture_output=True, text=True)
        if done.returncode:
            reason = (done.stderr.strip().splitlines() or ["pip does not say why"])[-1]
            say(f"left out: TensorRT for RTX cannot be installed here ({reason})")
            return False
        stamp.write_text(wanted)
    sys.path.append(str(FOLDER))
    return True


def sizes_of(file: Path, network: bytes) -> dict[str, SizeRange]:
    """How large the named sizes of a network get, by the bundle that it is part of."""
    if (file.parent / DESCRIPTION_FILE).is_file():
        return region_sizes(load_bundle(file.parent))
    inputs = onnx.load_from_string(network).graph.input
    names = {dim.dim_param for value in inputs for dim in value.type.tensor_type.shape.dim}
    return dict.fromkeys(names - {""}, ANY_SIZE)


def check(tensorrt: TensorRt, file: Path) -> Result:
    """Parse and build one file."""
    try:
        network = read_network(file)
        problems = unsupported_operations(tensorrt, network)
        if problems:
            return Result(file, problems=tuple(problems))
        built = build_engine(tensorrt, network, file, EngineSettings(sizes=sizes_of(file, network)))
    except ConfigurationError as error:
        return Result(file, problems=(str(error),))
    return Result(file, built.layers, len(built.engine), built.build_s)


def table(results: list[Result]) -> str:
    """The results as text, a line each, and their problems below."""
    names = [
        str(result.file.relative_to(TOP) if result.file.is_relative_to(TOP) else result.file) for result in results
    ]
    width = max(map(len, names))
    lines = [f"{'file':{width}}  layers  engine MiB  seconds  unsupported"]
    for name, result in zip(names, results, strict=True):
        size = result.engine_bytes / (1 << 20)
        facts = f"{result.layers:6}  {size:10.2f}  {result.seconds:7.1f}  {len(result.problems) or 'none':>11}"
        lines += [f"{name:{width}}  {facts}", *(f"  {problem}" for problem in result.problems)]
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    """Check the files that are given, else all that are shipped; 1 if one of them cannot be built."""
    files = [Path(argument).resolve() for argument in arguments] or sorted(MODELS.rglob("*.onnx"))
    if not install():
        return 0
    if not files:
        say("no bundle under config/models has a dense region; make onnx-check FILES='A.onnx B.onnx' checks others")
        return 0
    tensorrt = find_tensorrt()
    say(f"{tensorrt}, {len(files)} network{'s' if len(files) != 1 else ''}")
    results = [check(tensorrt, file) for file in files]
    print(table(results))
    return int(any(result.problems for result in results))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
