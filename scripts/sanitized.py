"""Run Python with kernels under AddressSanitizer and UndefinedBehaviorSanitizer, CUDA sources emulated on the CPU.

    python scripts/sanitized.py -m pytest --device emulated tests/ops      (make test-cuda)
    python scripts/sanitized.py -m tests.kernels.fuzz --seconds 60         (make fuzz; and tests.bundle.fuzz)

Builds kernels/ in the mode EMULATED into build/emulated, then starts an interpreter with the sanitizers preloaded.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parents[1]
BUILD = TOP / "build" / "emulated"
# Python and torch leave memory behind at their end; the sanitizers' reports are for the kernels.
SANITIZER_OPTIONS = {
    "ASAN_OPTIONS": "detect_leaks=0:detect_stack_use_after_return=0:abort_on_error=0",
    "UBSAN_OPTIONS": "print_stacktrace=1",
}


def build(folder: Path = BUILD) -> Path:
    """Build the library with emulation and sanitizers, and the program that tests the emulation itself."""
    options = ["-DPERCEPTION_KERNELS_CUDA=EMULATED", "-DPERCEPTION_KERNELS_SANITIZERS=address,undefined"]
    options += ["-DCMAKE_DISABLE_FIND_PACKAGE_ament_cmake=ON"]
    cmake = shutil.which("cmake", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}") or "cmake"
    jobs = str(os.cpu_count() or 1)
    for command in (
        [cmake, "-S", str(TOP / "kernels"), "-B", str(folder), *options],
        [cmake, "--build", str(folder), "--parallel", jobs, "--target", "all", "execution_model"],
    ):
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            print("\n".join((done.stdout + done.stderr).splitlines()[-40:]), file=sys.stderr)
            sys.exit("sanitized: the emulated kernels do not build")
    return folder / "libperception_kernels.so"


def environment(library: Path) -> dict[str, str]:
    """Variables of an interpreter that can load the library."""
    preloaded = [
        subprocess.check_output(["gcc", f"-print-file-name=lib{name}.so"], text=True).strip()
        for name in ("asan", "ubsan")
    ]
    return (
        os.environ
        | SANITIZER_OPTIONS
        | {
            "LD_PRELOAD": " ".join(preloaded),
            "PERCEPTION_KERNELS_LIBRARY": str(library),
            "PERCEPTION_KERNELS_POISON": "1",
            "OMP_NUM_THREADS": "2",
        }
    )


def main() -> None:
    """Build, then run Python with the arguments."""
    os.chdir(TOP)
    done = subprocess.run([sys.executable, *sys.argv[1:]], env=environment(build()))
    sys.exit(done.returncode)


if __name__ == "__main__":
    main()
