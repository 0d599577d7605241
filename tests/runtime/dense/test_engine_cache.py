"""The engine cache under what happens to caches: never a crash, never a stale engine."""

from __future__ import annotations

import errno
import logging
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from perception.runtime.dense import file_cache
from perception.runtime.dense.engine_cache import MAGIC, EngineCache, EngineKey, EngineLoadError
from perception.runtime.dense.file_cache import FileCache, default_folder
from perception.runtime.dense.tensorrt_build import BuildStoppedError

KEY = EngineKey("ab" * 32, "sm_87 Orin", "tensorrt 10.3.0", "{}")
ENGINE = bytes(range(256)) * 64


class Builder:
    """Builds engines that differ, and counts them."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> bytes:
        self.count += 1
        return ENGINE + b"%d" % self.count


def load(engine: bytes) -> str:
    """A load that works for whole engines only."""
    if not engine.startswith(ENGINE):
        raise EngineLoadError("TensorRT cannot read it")
    return f"engine {engine[len(ENGINE) :].decode()}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "engines"


@pytest.fixture
def build() -> Builder:
    return Builder()


def obtain(folder: Path, build: Callable[[], bytes], key: EngineKey = KEY) -> str:
    return EngineCache(FileCache(folder)).obtain(key, "net", build, load)


def only_engine(folder: Path) -> Path:
    (engine,) = folder.glob("*.engine")
    return engine


def test_an_engine_is_built_once(folder: Path, build: Builder) -> None:
    assert [obtain(folder, build) for _ in range(3)] == ["engine 1"] * 3
    assert {path.name for path in folder.iterdir()} == {KEY.file_name("net"), "lock"}
    assert folder.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    "change",
    [
        {"network_sha256": "cd" * 32},
        {"gpu": "sm_87 Orin NX"},
        {"tensorrt": "tensorrt 10.3.1"},
        {"settings": '{"precision": "fp16"}'},
        {"calibration_sha256": "ef" * 32},
        {"recipe": 0},
    ],
    ids=lambda change: next(iter(change)),
)
def test_another_key_is_another_engine(folder: Path, build: Builder, change: dict[str, Any]) -> None:
    other = replace(KEY, **change)
    assert obtain(folder, build) == "engine 1"
    assert obtain(folder, build, other) == "engine 2"
    assert obtain(folder, build) == "engine 1"
    # Even under the other one's name, an engine is not taken for what it is not.
    (folder / KEY.file_name("net")).replace(folder / other.file_name("net"))
    assert obtain(folder, build, other) == "engine 3"


def truncated(content: bytes) -> bytes:
    return content[:-5]


def without_engine(content: bytes) -> bytes:
    return content[: content.index(b"\n", len(MAGIC)) + 1]


def in_the_header(content: bytes) -> bytes:
    return content[: len(MAGIC) + 20]


def empty(_: bytes) -> bytes:
    return b""


def flipped_in_the_engine(content: bytes) -> bytes:
    return content[:-100] + bytes([content[-100] ^ 1]) + content[-99:]


def flipped_in_the_header(content: bytes) -> bytes:
    return content.replace(b'"sha256": "', b'"sha256": "0', 1)


def lengthened(content: bytes) -> bytes:
    return content + b"more"


def another_format(content: bytes) -> bytes:
    return content.replace(b"engine 1", b"engine 9", 1)


@pytest.mark.parametrize(
    "damage",
    [
        truncated,
        without_engine,
        in_the_header,
        empty,
        flipped_in_the_engine,
        flipped_in_the_header,
        lengthened,
        another_format,
    ],
)
def test_a_damaged_engine_is_built_again(
    folder: Path, build: Builder, damage: Callable[[bytes], bytes], caplog: pytest.LogCaptureFixture
) -> None:
    obtain(folder, build)
    path = only_engine(folder)
    path.write_bytes(damage(path.read_bytes()))
    assert obtain(folder, build) == "engine 2"
    assert f"the kept engine {path.name} is built again: it " in caplog.text
    assert obtain(folder, build) == "engine 2"


def test_an_engine_that_cannot_be_loaded_is_built_again(folder: Path) -> None:
    assert (
        EngineCache(FileCache(folder)).obtain(KEY, "net", lambda: b"of another driver", bytes) == b"of another driver"
    )
    assert obtain(folder, Builder()) == "engine 1"


def test_a_new_engine_that_cannot_be_loaded_is_an_error(folder: Path) -> None:
    with pytest.raises(EngineLoadError, match="TensorRT cannot read it"):
        obtain(folder, lambda: b"bad")


def test_a_failed_build_leaves_nothing_behind(folder: Path, build: Builder) -> None:
    def fail() -> bytes:
        raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        obtain(folder, fail)
    assert [path.name for path in folder.iterdir()] == ["lock"]
    assert obtain(folder, build) == "engine 1"


CHILD = """
import os, sys, time
from pathlib import Path
from perception.runtime.dense import file_cache
from tests.runtime.dense.test_engine_cache import ENGINE, obtain
folder, log, when = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
def note(word):
    with log.open("a") as file:
        file.write(word + "\\n")
def wait(*_):
    note("ready")
    time.sleep(60)
def build():
    note("built")
    if when == "while building":
        wait()
    return ENGINE + b"0"
if when == "while writing":
    file_cache.os.fsync = wait
if when == "before renaming":
    file_cache.os.replace = wait
note("begun")
while not folder.exists() and when == "at once":
    time.sleep(0.01)
note(obtain(folder, build))
"""


@contextmanager
def child(folder: Path, log: Path, when: str, top: Path) -> Iterator[subprocess.Popen[bytes]]:
    environment = {**os.environ, "PYTHONPATH": f"{top}{os.pathsep}{os.pathsep.join(sys.path)}"}
    process = subprocess.Popen([sys.executable, "-c", CHILD, str(folder), str(log), when], env=environment)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def wait_for(log: Path, word: str, count: int = 1) -> None:
    deadline_s = time.monotonic() + 60
    while not log.exists() or log.read_text().split("\n").count(word) < count:
        assert time.monotonic() < deadline_s, f"'{word}' never came"
        time.sleep(0.01)


@pytest.mark.parametrize("when", ["while building", "while writing", "before renaming"])
def test_a_process_killed_during_a_build_harms_nobody(
    folder: Path, tmp_path: Path, build: Builder, when: str, top: Path
) -> None:
    with child(folder, tmp_path / "log", when, top) as process:
        wait_for(tmp_path / "log", "ready")
        assert len(list(folder.glob(".*.tmp"))) == (when != "while building")
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert obtain(folder, build) == "engine 1"
    assert {path.name for path in folder.iterdir()} == {KEY.file_name("net"), "lock"}


def test_processes_that_start_together_build_once(folder: Path, tmp_path: Path, top: Path) -> None:
    log = tmp_path / "log"
    with child(folder, log, "at once", top) as first, child(folder, log, "at once", top) as second:
        wait_for(log, "begun", 2)
        folder.mkdir(parents=True)
        assert (first.wait(60), second.wait(60)) == (0, 0)
    assert sorted(log.read_text().split()) == ["0", "0", "begun", "begun", "built", "engine", "engine"]


def test_waiting_for_another_process_can_be_stopped(folder: Path, build: Builder) -> None:
    stop = threading.Event()
    with FileCache(folder).exclusive() as held:
        assert held
        threading.Timer(0.2, stop.set).start()
        with pytest.raises(BuildStoppedError):
            EngineCache(FileCache(folder)).obtain(KEY, "net", build, load, stop)
    assert build.count == 0


def refuse_to_create(code: int) -> Callable[..., int]:
    """An `os.open` for folders that can only be read, or are full."""
    real = os.open

    def opened(path: object, flags: int, *rest: object) -> int:
        if flags & os.O_CREAT:
            raise OSError(code, os.strerror(code), str(path))
        return real(path, flags, *rest)  # type: ignore[call-overload]

    return opened


def two_regions(cache: EngineCache, build: Builder) -> list[str]:
    return [cache.obtain(replace(KEY, gpu=gpu), "net", build, load) for gpu in ("one", "other")]


def test_a_folder_that_cannot_be_made_costs_only_time(
    tmp_path: Path, build: Builder, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("in the way")
    assert two_regions(EngineCache(FileCache(tmp_path / "file" / "engines")), build) == ["engine 1", "engine 2"]
    (warning,) = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert "PERCEPTION_ENGINE_CACHE" in warning


@pytest.mark.parametrize("code", [errno.EROFS, errno.EACCES, errno.ENOSPC], ids=errno.errorcode.get)
def test_a_folder_that_cannot_be_written_costs_only_time(
    folder: Path, build: Builder, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, code: int
) -> None:
    obtain(folder, build)
    monkeypatch.setattr(file_cache.os, "open", refuse_to_create(code))
    assert obtain(folder, build) == "engine 1", "what is there can be read"
    assert not caplog.records
    assert two_regions(EngineCache(FileCache(folder)), build) == ["engine 2", "engine 3"]
    (warning,) = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert os.strerror(code) in warning


def test_a_disk_that_fills_up_leaves_no_half_engine(
    folder: Path, build: Builder, caplog: pytest.LogCaptureFixture
) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(ENGINE) // 2, hard))
    try:
        assert obtain(folder, build) == "engine 1"
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [path.name for path in folder.iterdir()] == ["lock"]
    assert os.strerror(errno.EFBIG) in caplog.text
    assert obtain(folder, build) == "engine 2"


def test_a_file_system_without_locks_works(
    folder: Path, build: Builder, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(file_cache.fcntl, "flock", refuse)
    assert obtain(folder, build) == obtain(folder, build) == "engine 1"
    assert os.strerror(errno.ENOLCK) in caplog.text


def test_the_longest_unused_engines_go_first(folder: Path, build: Builder) -> None:
    files = FileCache(folder)
    keys = [replace(KEY, gpu=f"gpu {number}") for number in range(4)]
    for age_s, key in zip((30, 20, 10), keys, strict=False):
        EngineCache(files).obtain(key, "net", build, load)
        past_s = time.time() - age_s
        os.utime(folder / key.file_name("net"), (past_s, past_s))
    obtain(folder, build, keys[0])  # used again: now the second is the oldest
    two = 2 * only_size(folder, keys[0])
    EngineCache(files, limit_bytes=two).obtain(keys[3], "net", build, load)
    assert {path.name for path in folder.glob("*.engine")} == {keys[0].file_name("net"), keys[3].file_name("net")}


def only_size(folder: Path, key: EngineKey) -> int:
    return (folder / key.file_name("net")).stat().st_size


def test_an_engine_beyond_the_limit_is_kept_all_the_same(folder: Path, build: Builder) -> None:
    for _ in range(2):
        assert EngineCache(FileCache(folder), limit_bytes=1).obtain(KEY, "net", build, load) == "engine 1"


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"PERCEPTION_ENGINE_CACHE": "/a/b"}, "/a/b"),
        ({"XDG_CACHE_HOME": "/x"}, "/x/perception/engines"),
        ({"XDG_CACHE_HOME": "relative"}, "/home/me/.cache/perception/engines"),
        ({}, "/home/me/.cache/perception/engines"),
    ],
)
def test_where_engines_are_kept(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], expected: str) -> None:
    for name in ("PERCEPTION_ENGINE_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/home/me")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert default_folder() == Path(expected)


def test_a_user_without_home_keeps_nothing(
    monkeypatch: pytest.MonkeyPatch, build: Builder, caplog: pytest.LogCaptureFixture
) -> None:
    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    for name in ("PERCEPTION_ENGINE_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", no_home)
    assert EngineCache().obtain(KEY, "net", build, load) == "engine 1"
    assert "cannot be kept" in caplog.text
