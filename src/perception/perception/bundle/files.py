"""Reading files that strangers made: each once, only inside the bundle's folder, only up to a limit."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path
from typing import BinaryIO

from perception.configuration import ConfigurationError

COPY_AGAIN = "copy the bundle again"


class BundleFiles:
    """The files of a bundle by name.

    A file may be a link, as in a workspace that is installed by links, but only to the folder that bundle.yaml itself
    lies in: a bundle from elsewhere must not be able to name other files of this machine.
    """

    def __init__(self, folder: Path, description_file: str) -> None:
        self.folder = folder
        self._homes = {_resolved(folder), _resolved(folder / description_file).parent}

    def read(self, name: str, limit_bytes: int, sha256: str | None = None) -> bytes:
        """Read a whole file.

        Args:
            name: without a folder.
            limit_bytes: larger ones are refused.
            sha256: what its checksum must be.

        Raises:
            ConfigurationError: it is missing, empty, too large, changed, something other than a file, or elsewhere.
        """
        file = self.folder / name
        if _resolved(file).parent not in self._homes:
            raise ConfigurationError(f"{file}: leads out of the bundle's folder; copy the file itself there")
        with open_file(file, COPY_AGAIN) as stream:
            size = os.fstat(stream.fileno()).st_size
            if size > limit_bytes:
                raise ConfigurationError(f"{file}: {size} bytes, more than the {limit_bytes} allowed; {COPY_AGAIN}")
            try:
                content = stream.read(size)
            except OSError as error:
                raise ConfigurationError(f"{file}: cannot be read ({error.strerror or error}); {COPY_AGAIN}") from None
        if not content:
            raise ConfigurationError(f"{file}: empty; {COPY_AGAIN}")
        if sha256 is not None:
            _check(file, content, sha256)
        return content


def open_file(file: Path, advice: str) -> BinaryIO:
    """Open a file for reading.

    Args:
        file: what to open.
        advice: what to do where it is no file; the end of the sentence.

    Raises:
        ConfigurationError: it is missing, a folder, a pipe or a device, or may not be read.
    """
    try:
        # Without waiting: opening a pipe that nobody writes to would block for ever.
        descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        raise ConfigurationError(f"{file}: no such file; {advice}") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigurationError(f"{file}: cannot be read ({reason}); {advice}") from None
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode):
        return os.fdopen(descriptor, "rb")
    os.close(descriptor)
    raise ConfigurationError(f"{file}: is {'a folder' if stat.S_ISDIR(mode) else 'not a plain file'}; {advice}")


def _check(file: Path, content: bytes, expected: str) -> None:
    actual = hashlib.sha256(content).hexdigest()
    if actual != expected:
        raise ConfigurationError(
            f"{file}: damaged or changed (checksum {actual[:12]}, expected {expected[:12]}); {COPY_AGAIN}"
        )


def _resolved(path: Path) -> Path:
    try:
        return path.resolve()
    except (OSError, RuntimeError):  # links that lead in a circle; opening it says so
        return path.absolute()
