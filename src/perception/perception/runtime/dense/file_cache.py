"""A folder of files that may vanish at any time: written whole or not at all, by one process at a time."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

logger = logging.getLogger(__name__)

#: Environment variable that moves the cache.
FOLDER_VARIABLE = "PERCEPTION_ENGINE_CACHE"
LOCK_FILE = "lock"
TEMPORARY_SUFFIX = ".tmp"
POLL_S = 0.1


def default_folder() -> Path:
    """Tell where engines are kept: $PERCEPTION_ENGINE_CACHE, else perception/engines in the user's cache folder."""
    if chosen := os.environ.get(FOLDER_VARIABLE):
        return Path(chosen).expanduser()
    caches = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if not caches.is_absolute():  # relative ones are to be ignored (XDG base directory specification)
        try:
            caches = Path.home() / ".cache"
        except RuntimeError:  # a container's user without a home: nothing can be kept, which is said when it is tried
            caches = Path(os.devnull)
    return caches / "perception" / "engines"


class FileCache:
    """Files by name in one folder. Where the folder cannot be written, that is said once and nothing is kept.

    Args:
        folder: made when something is first written; None: `default_folder()`.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or default_folder()
        self._warned = False

    def read(self, name: str) -> bytes | None:
        """Read a file, and remember that it was of use; None where there is none."""
        path = self.folder / name
        try:
            content = path.read_bytes()
        except OSError:
            return None
        with contextlib.suppress(OSError):  # a folder that can only be read
            os.utime(path)
        return content

    def latest(self, pattern: str) -> list[str]:
        """List the files whose names match a pattern, the latest used first."""
        with contextlib.suppress(OSError):
            return [path.name for path in sorted(self.folder.glob(pattern), key=_used_at, reverse=True)]
        return []

    def write(self, name: str, *parts: bytes) -> bool:
        """Write a file as a whole; False, and a warning the first time, where that cannot be done."""
        temporary = self.folder / f".{name}.{uuid.uuid4().hex}{TEMPORARY_SUFFIX}"
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.writelines(parts)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, self.folder / name)
        except OSError as error:
            with contextlib.suppress(OSError):
                temporary.unlink()
            self._warn(error)
            return False
        return True

    def trim(self, pattern: str, limit_bytes: int, keep: str) -> None:
        """Remove the files that were not used for longest until the others are small enough; one is always kept."""
        with contextlib.suppress(OSError):
            total = sum(path.stat().st_size for path in self.folder.glob(pattern))
            for path in sorted((path for path in self.folder.glob(pattern) if path.name != keep), key=_used_at):
                if total > limit_bytes:
                    total -= path.stat().st_size
                    path.unlink()

    @contextlib.contextmanager
    def exclusive(self, stop: threading.Event | None = None) -> Iterator[bool]:
        """Wait until no other process holds the folder, then hold it; a killed process holds nothing.

        Gives whether it is held: not where the folder cannot be locked, or where `stop` was set before.
        """
        descriptor = self._open_lock()
        try:
            held = descriptor is not None and self._lock(descriptor, stop)
            if held:  # who writes holds the lock: what is half-written now was left by a process that is no more
                for leftover in self.folder.glob(f".*{TEMPORARY_SUFFIX}"):
                    with contextlib.suppress(OSError):
                        leftover.unlink()
            yield held
        finally:
            if descriptor is not None:
                os.close(descriptor)

    def _open_lock(self) -> int | None:
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            return os.open(self.folder / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            self._warn(error)
            return None

    def _lock(self, descriptor: int, stop: threading.Event | None) -> bool:
        waited = False
        # A program that ends waits for its threads: this one must not wait for another program's build.
        while threading.main_thread().is_alive() and not (stop is not None and stop.is_set()):
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return True
            except BlockingIOError:
                if not waited:
                    logger.info("waiting for another process that builds an engine")
                waited = True
                time.sleep(POLL_S)
            except OSError as error:  # a file system without locks
                self._warn(error)
                return False
        return False

    def _warn(self, error: OSError) -> None:
        if not self._warned:
            logger.warning(
                "engines cannot be kept in %s (%s) and are built at every start; set %s to another folder",
                self.folder,
                error.strerror or error,
                FOLDER_VARIABLE,
            )
        self._warned = True


def _used_at(path: Path) -> float:
    return path.stat().st_mtime
