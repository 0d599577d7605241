"""Set the project up: a virtual environment, ROS 2 where none is sourced, and the built workspace in it.

Run through `make setup`. Uses nothing but the standard library. Every step leaves a stamp only when it is done, so
that a second run is quick and a run after an interruption goes on where the first one stopped.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterable
from pathlib import Path

TOP = Path(__file__).resolve().parents[1]
VENV = TOP / ".venv"
PYTHON = VENV / "bin" / "python"
BUILD = TOP / "build"
LOG = BUILD / "setup.log"
LOCK = TOP / "requirements.lock"
#: Packages whose own requirements cannot be met, or are of no use here.
ALONE = TOP / "requirements.alone"
SYSTEM_ROS = bool(os.environ.get("ROS_DISTRO"))

#: Shared library that Open3D loads -> the Debian and Ubuntu package that holds it.
SYSTEM_LIBRARIES = {"libusb-1.0.so.0": "libusb-1.0-0", "libGL.so.1": "libgl1", "libEGL.so.1": "libegl1"}
#: Packages of the lock file that a sourced ROS 2 already has.
ROS_PREFIXES = ("ros-", "colcon", "catkin-pkg", "empy", "lark", "setuptools")


def fail(message: str) -> None:
    """Stop with one line for the person at the terminal."""
    sys.exit(f"setup: {message}")


def run(command: list[str], what: str, **options: object) -> None:
    """Run a command with its output in the log; on failure show the log's end."""
    LOG.parent.mkdir(exist_ok=True)
    with LOG.open("a") as log:
        log.write(f"\n$ {' '.join(command)}\n")
        log.flush()
        result = subprocess.run(command, stdout=log, stderr=subprocess.STDOUT, **options)  # type: ignore[call-overload]
    if result.returncode:
        print("\n".join(LOG.read_text(errors="replace").splitlines()[-25:]), file=sys.stderr)
        fail(f"{what} failed; the whole output is in {LOG.relative_to(TOP)}")


def output_of_python(code: str) -> str:
    """What a line of code prints in the virtual environment."""
    return subprocess.check_output([PYTHON, "-c", code], text=True).strip()


class Step:
    """A named part of the set-up that is skipped while what it depends on is unchanged."""

    def __init__(self, name: str, *inputs: str) -> None:
        self.name = name
        self.stamp = VENV / f".setup-{name.split()[0]}"
        self.key = hashlib.sha256("\0".join(inputs).encode()).hexdigest()

    def needed(self) -> bool:
        """Whether the step never finished with these inputs."""
        return not self.stamp.is_file() or self.stamp.read_text() != self.key

    def __enter__(self) -> Step:
        self.stamp.unlink(missing_ok=True)
        print(f"setup: {self.name} ...", end="", flush=True)
        self.start_s = time.monotonic()
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self.stamp.write_text(self.key)
            print(f" {time.monotonic() - self.start_s:.0f} s", flush=True)
        else:
            print(flush=True)


def venv_works() -> bool:
    """Whether .venv is whole and of this interpreter's version."""
    try:
        return output_of_python("import pip, sys; print(sys.version)") == sys.version.strip()
    except (OSError, subprocess.CalledProcessError):
        return False


def make_venv() -> None:
    """Create .venv with the interpreter that runs this script; a broken or half-made one is made again."""
    step = Step("venv", sys.version, str(SYSTEM_ROS))
    if not step.needed() and venv_works():
        return
    options = ["--system-site-packages"] if SYSTEM_ROS else []
    # --clear empties the folder first, so nothing of a broken environment is left.
    command = [sys.executable, "-m", "venv", "--clear", *options, str(VENV)]
    VENV.mkdir(exist_ok=True)
    with step:
        if subprocess.run(command, capture_output=True).returncode:
            version = f"{sys.version_info.major}.{sys.version_info.minor}"
            install_debian_packages([f"python{version}-venv"], "Python's venv module")
            run(command, "making .venv")


def install_debian_packages(packages: list[str], what: str) -> None:
    """Install packages as root, or say what to type."""
    command = f"apt-get install -y {' '.join(packages)}"
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        fail(f"{what} needs system packages; type: sudo {command}")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    if subprocess.run(command.split(), env=environment, capture_output=True).returncode:
        run(["apt-get", "update"], "apt-get update", env=environment)
        run(command.split(), command, env=environment)


def missing_libraries() -> list[str]:
    """Debian packages of the shared libraries that cannot be loaded."""
    missing = []
    for library, package in SYSTEM_LIBRARIES.items():
        try:
            ctypes.CDLL(library)
        except OSError:
            missing.append(package)
    return missing


def install_system_libraries() -> None:
    """Provide what Open3D's wheel expects of the system."""
    packages = missing_libraries()
    if packages:
        print(f"setup: system libraries ({', '.join(packages)})", flush=True)
        install_debian_packages(packages, "Open3D")


def locked_requirements() -> str:
    """The lock file, less what a sourced ROS 2 brings along."""
    lines = LOCK.read_text().splitlines(keepends=True)
    if SYSTEM_ROS:
        lines = [line for line in lines if not line.startswith(ROS_PREFIXES)]
    return "".join(lines)


def install_python_packages() -> None:
    """Install exactly the locked versions."""
    requirements = locked_requirements()
    step = Step("packages (Python, a few minutes the first time)", requirements, ALONE.read_text(), sys.version)
    if not step.needed():
        return
    with step:
        BUILD.mkdir(exist_ok=True)
        wanted = BUILD / "requirements.txt"
        wanted.write_text(requirements)
        install = [str(PYTHON), "-m", "pip", "install", "--progress-bar=off"]
        run([*install, "-r", str(wanted)], "installing packages")
        run([*install, "--no-deps", "-r", str(ALONE)], "installing packages")
        relocate_cmake_files()


def relocate_cmake_files() -> None:
    """Point the ROS 2 wheels' CMake files at this environment's Python and NumPy headers.

    The wheels were built where Python lay in /opt/python/cpXY-cpXY and say so in their exported targets.
    """
    include = sysconfig.get_path("include")
    numpy_include = output_of_python("import numpy; print(numpy.get_include())")
    for file in [*VENV.glob("share/*/cmake/*.cmake"), *VENV.glob("lib/cmake/**/*.cmake")]:
        text = file.read_text(errors="surrogateescape")
        if "/opt/python/cp" not in text:
            continue
        paths = {word for word in text.replace('"', ";").split(";") if word.startswith("/opt/python/cp")}
        # Longest first, so that no path is replaced inside a longer one.
        for path in sorted(paths, key=len, reverse=True):
            text = text.replace(path, numpy_include if "numpy" in path else include)
        file.write_text(text, errors="surrogateescape")


def build_environment() -> dict[str, str]:
    """The environment for colcon: this venv first, and a sourced ROS 2 behind it."""
    environment = dict(os.environ)
    environment["VIRTUAL_ENV"] = str(VENV)
    environment["PATH"] = f"{VENV / 'bin'}{os.pathsep}{environment['PATH']}"
    for name in ("AMENT_PREFIX_PATH", "CMAKE_PREFIX_PATH"):
        prefixes = [str(VENV), *filter(None, environment.get(name, "").split(os.pathsep))]
        environment[name] = os.pathsep.join(dict.fromkeys(prefixes))
    return environment


def sources_of_build() -> Iterable[Path]:
    """Files whose change means building again; Python modules are linked and need no build."""
    patterns = ("underlay/**/*", "kernels/**/*", "src/perception_interfaces/**/*", "launch/**/*", "config/**/*")
    files = [file for pattern in patterns for file in TOP.glob(pattern) if file.is_file()]
    setup_files = [TOP / "src/perception" / name for name in ("setup.py", "setup.cfg", "package.xml")]
    return sorted(file for file in [*files, *setup_files, TOP / "colcon.meta"] if "__pycache__" not in file.parts)


def fingerprint(files: Iterable[Path]) -> str:
    """A string that changes when a file appears, vanishes or changes."""
    return "\n".join(f"{file} {hashlib.sha256(file.read_bytes()).hexdigest()}" for file in files)


def build_workspace() -> None:
    """Build every package with colcon and install into .venv, so that nothing has to be sourced."""
    step = Step("workspace (colcon build)", fingerprint(sources_of_build()), sys.version)
    # The linked package lies in the build folder, which people remove by hand.
    if not step.needed() and (BUILD / "perception").is_dir():
        return
    with step:
        bases = ["src", "kernels"] if SYSTEM_ROS else ["src", "kernels", "underlay"]
        colcon = shutil.which("colcon", path=build_environment()["PATH"])
        if not colcon:
            fail("colcon is missing; type: sudo apt-get install python3-colcon-common-extensions")
        folders = ["--log-base", str(BUILD / "log"), "build", "--install-base", str(VENV), "--build-base", str(BUILD)]
        layout = ["--merge-install", "--symlink-install", "--base-paths", *bases]
        run(
            [colcon, *folders, *layout, "--cmake-args", f"-DPython3_EXECUTABLE={PYTHON}", "-DBUILD_TESTING=OFF"],
            "colcon build",
            cwd=TOP,
            env=build_environment(),
        )
        link_package()


def link_package() -> None:
    """Make `import perception` and `.venv/bin/perception` work with nothing sourced."""
    site_packages = output_of_python("import sysconfig; print(sysconfig.get_path('purelib'))")
    # colcon's symlink install leaves the package in its build folder and relies on PYTHONPATH.
    Path(site_packages, "perception_workspace.pth").write_text(f"{BUILD / 'perception'}\n")
    command = VENV / "bin" / "perception"
    sourced = f'. "{VENV}/setup.sh" >/dev/null 2>&1\n' if SYSTEM_ROS else ""
    command.write_text(f'#!/bin/sh\n{sourced}exec "{PYTHON}" -m perception.cli "$@"\n')
    command.chmod(0o755)


def main() -> None:
    """Run every step that is not done yet."""
    start_s = time.monotonic()
    make_venv()
    install_system_libraries()
    install_python_packages()
    build_workspace()
    ros = f"ROS 2 {os.environ['ROS_DISTRO']} (sourced)" if SYSTEM_ROS else "ROS 2 Kilted (wheels)"
    print(f"setup: ready in {time.monotonic() - start_s:.0f} s, {ros}, Python {sys.version.split()[0]}", flush=True)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("\nsetup: interrupted; the next run goes on from here")
