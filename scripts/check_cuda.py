"""Compile every CUDA source for every GPU generation, without warnings. Run through `make cuda-check`.

Two compilers are needed. The machine's nvcc (13 or later) builds the whole library for Turing and everything newer.
It has dropped the Nano (sm_53) and Xavier (sm_72), and the nvcc 12 wheels hold only the second half of the compiler
(ptxas, headers, device library), so that Clang is the first half for those two.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

TOP = Path(__file__).resolve().parents[1]
KERNELS = TOP / "kernels"
BUILD = TOP / "build" / "cuda"
TOOLKIT_12 = TOP / "build" / "cuda12"
NVCC_ARCHITECTURES = (75, 87, 90, 110)
CLANG_ARCHITECTURES = (53, 72)
CLANG_PACKAGE = "clang-19"
WARNINGS = ("-Wall", "-Wextra", "-Werror", "-Wno-unknown-cuda-version", "-Wno-deprecated-declarations")


def fail(message: str, output: str = "") -> None:
    """Stop with one line, after the end of what a tool said."""
    print("\n".join(output.splitlines()[-40:]), file=sys.stderr)
    sys.exit(f"cuda-check: {message}")


def run(command: list[str], what: str) -> None:
    """Run a tool; show its output only if it fails."""
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        fail(f"{what} failed", done.stdout + done.stderr)


def nvcc_version() -> int:
    """The major version of the machine's nvcc."""
    if not shutil.which("nvcc"):
        fail("nvcc was not found; install the CUDA toolkit 13 and put its bin/ into PATH")
    match = re.search(r"release (\d+)", subprocess.check_output(["nvcc", "--version"], text=True))
    return int(match.group(1)) if match else 0


def build_with_nvcc() -> None:
    """Build the shared library for all newer GPUs at once."""
    architectures = ";".join(f"{number}-real" for number in NVCC_ARCHITECTURES)
    options = ["-DPERCEPTION_KERNELS_CUDA=ON", "-DCMAKE_DISABLE_FIND_PACKAGE_ament_cmake=ON"]
    command = ["cmake", "-S", str(KERNELS), "-B", str(BUILD), f"-DCMAKE_CUDA_ARCHITECTURES={architectures}", *options]
    run(command, "configuring for nvcc")
    jobs = str(os.cpu_count() or 1)
    run(
        ["cmake", "--build", str(BUILD), "--parallel", jobs, "--target", "all", "execution_model"],
        "compiling with nvcc",
    )


def make_toolkit_12() -> None:
    """Lay the wheels' files out as a CUDA toolkit."""
    stamp = TOOLKIT_12 / "complete"
    requirements = TOP / "scripts" / "cuda12-requirements.txt"
    if stamp.is_file() and stamp.read_text() == requirements.read_text():
        return
    wheels = TOP / "build" / "cuda12_wheels"
    for folder in (wheels, TOOLKIT_12):
        shutil.rmtree(folder, ignore_errors=True)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    run([*pip, "--target", str(wheels), "-r", str(requirements)], "installing the CUDA 12 wheels")
    for part in sorted((wheels / "nvidia").iterdir()):
        if part.is_dir():
            shutil.copytree(part, TOOLKIT_12, dirs_exist_ok=True)
    (TOOLKIT_12 / "version.json").write_text('{"cuda": {"name": "CUDA SDK", "version": "12.9.0"}}')
    # Clang includes this header of cuRAND for the names of its types only; no kernel here uses them.
    (TOOLKIT_12 / "include" / "curand_mtgp32_kernel.h").touch()
    (TOOLKIT_12 / "bin" / "ptxas").chmod(0o755)
    stamp.write_text(requirements.read_text())


def find_clang() -> str:
    """A Clang that knows CUDA 12, installed where it may be."""
    for name in ("clang++-19", "clang++-20", "clang++-21", "clang++-18"):
        if shutil.which(name):
            return name
    if os.geteuid() == 0 and shutil.which("apt-get"):
        subprocess.run(["apt-get", "update"], capture_output=True)
        install = ["apt-get", "install", "-y", "--no-install-recommends", CLANG_PACKAGE]
        run(install, f"installing {CLANG_PACKAGE}")
        return "clang++-19"
    fail(f"sm_53 and sm_72 need Clang: sudo apt-get install {CLANG_PACKAGE}")
    raise AssertionError


def compile_with_clang(clang: str, source: Path, architecture: int) -> None:
    """Compile the device side of one source down to machine code."""
    output = TOOLKIT_12 / f"{source.parent.name}_{source.stem}_{architecture}.cubin"
    command = [clang, "-std=c++17", "-O3", "-x", "cuda", "--cuda-device-only", f"--cuda-gpu-arch=sm_{architecture}"]
    command += [f"--cuda-path={TOOLKIT_12}", *WARNINGS, "-DPK_WITH_CUDA", f"-I{KERNELS}", f"-I{KERNELS / 'include'}"]
    run([*command, "-c", str(source), "-o", str(output)], f"compiling {source.relative_to(TOP)} for sm_{architecture}")


def main() -> None:
    """Compile, and say how long it took."""
    start_s = time.monotonic()
    version = nvcc_version()
    if version < 13:
        fail(f"nvcc {version} was found; sm_110 needs 13 or later")
    build_with_nvcc()
    names = ", ".join(f"sm_{number}" for number in NVCC_ARCHITECTURES)
    print(
        f"cuda-check: nvcc {version}: library for {names}, no warnings ({time.monotonic() - start_s:.0f} s)", flush=True
    )
    if "--without-clang" in sys.argv[1:]:
        print("cuda-check: sm_53 and sm_72 were left out, as asked")
        return
    make_toolkit_12()
    clang, sources = find_clang(), sorted(KERNELS.glob("*/*.cu"))
    jobs = [(source, architecture) for source in sources for architecture in CLANG_ARCHITECTURES]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(lambda job: compile_with_clang(clang, *job), jobs))
    names = ", ".join(f"sm_{number}" for number in CLANG_ARCHITECTURES)
    print(f"cuda-check: {clang} + ptxas 12: {len(sources)} sources for {names}, no warnings", end=" ")
    print(f"({time.monotonic() - start_s:.0f} s in all)")


if __name__ == "__main__":
    main()
