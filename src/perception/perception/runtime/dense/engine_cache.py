"""Engines that were built before, kept with everything that they depend on.

An engine file is a line of magic, a line of JSON (the whole key, the engine's size and checksum) and the engine. It is
used only if all of that fits; whatever does not is built again. Deleting the folder is always safe.
"""

from __future__ import annotations

import hashlib
import json
import logging
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TypeVar

from perception.runtime.dense.file_cache import FileCache
from perception.runtime.dense.tensorrt_build import BuildStoppedError

logger = logging.getLogger(__name__)
Loaded = TypeVar("Loaded")

MAGIC = b"perception engine 1\n"
DEFAULT_LIMIT_BYTES = 4 << 30
#: To be raised whenever a change of this package would make another engine of the same network and settings.
RECIPE = 1


class EngineLoadError(RuntimeError):
    """An engine cannot be loaded here; the message says why."""


@dataclass(frozen=True)
class EngineKey:
    """Everything that an engine depends on.

    Attributes:
        network_sha256: of the ONNX file.
        gpu: architecture and name of the GPU that it was built on.
        tensorrt: which module, and its version.
        settings: JSON of the settings and of the ranges of all sizes.
        calibration_sha256: of the table of ranges for int8; empty without.
        recipe: how this version of the software turns all of that into an engine.
    """

    network_sha256: str
    gpu: str
    tensorrt: str
    settings: str
    calibration_sha256: str = ""
    recipe: int = RECIPE

    def file_name(self, stem: str) -> str:
        """Name the engine's file; engines of other keys have other names."""
        text = json.dumps(asdict(self), sort_keys=True)
        return f"{stem}-{hashlib.sha256(text.encode()).hexdigest()[:16]}.engine"


class EngineCache:
    """Engines on disk.

    Args:
        files: where; by default in the user's cache folder.
        limit_bytes: size of all engines together, beyond which the longest unused are removed.
    """

    def __init__(self, files: FileCache | None = None, limit_bytes: int = DEFAULT_LIMIT_BYTES) -> None:
        self.files = files or FileCache()
        self._limit_bytes = limit_bytes

    def obtain(
        self,
        key: EngineKey,
        stem: str,
        build: Callable[[], bytes],
        load: Callable[[bytes], Loaded],
        stop: threading.Event | None = None,
    ) -> Loaded:
        """Load the engine from the cache, or build, keep and load it.

        Processes that want engines at the same time build one after another, so that each engine is built once and
        what is timed during a build is not disturbed by another one.

        Args:
            key: what the engine depends on.
            stem: beginning of its file's name, for people.
            build: makes the engine.
            load: makes something of it; EngineLoadError has a kept engine built again.
            stop: ends the waiting for other processes where this is set.

        Raises:
            BuildStoppedError: `stop` was set.
            EngineLoadError: even a new engine cannot be loaded.
        """
        name = key.file_name(stem)
        loaded = self._load(name, key, load)
        if loaded is not None:
            return loaded
        with self.files.exclusive(stop):
            if stop is not None and stop.is_set():
                raise BuildStoppedError(f"{stem}: the build of its engine was stopped")
            loaded = self._load(name, key, load)  # another process may have built it meanwhile
            if loaded is not None:
                return loaded
            logger.info("building the engine of %s; this can take minutes", stem)
            engine = build()
            if self.files.write(name, MAGIC, _header(key, engine), engine):
                self.files.trim("*.engine", self._limit_bytes, keep=name)
        return load(engine)

    def _load(self, name: str, key: EngineKey, load: Callable[[bytes], Loaded]) -> Loaded | None:
        content = self.files.read(name)
        if content is None:
            return None
        try:
            return load(_engine_in(content, key))
        except EngineLoadError as error:
            logger.warning("the kept engine %s is built again: %s", name, error)
            return None


def _header(key: EngineKey, engine: bytes) -> bytes:
    facts = {"key": asdict(key), "bytes": len(engine), "sha256": hashlib.sha256(engine).hexdigest()}
    return json.dumps(facts).encode() + b"\n"


def _engine_in(content: bytes, key: EngineKey) -> bytes:
    """The engine in a file's content, if the file is whole and the engine is for the key."""
    if not content.startswith(MAGIC):
        raise EngineLoadError("it is of another format")
    header, _, engine = content[len(MAGIC) :].partition(b"\n")
    if header + b"\n" == _header(key, engine):
        return engine
    try:
        facts = json.loads(header)
        same_key, size = facts["key"] == asdict(key), int(facts["bytes"])
    except (ValueError, KeyError, TypeError):
        raise EngineLoadError("it is damaged") from None
    if not same_key:
        raise EngineLoadError("it was built for something else")
    raise EngineLoadError("it is cut off" if len(engine) < size else "it is damaged")
