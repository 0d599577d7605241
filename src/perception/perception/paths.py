"""Where the installed configuration, launch files and bundles are."""

from __future__ import annotations

import os
from pathlib import Path

from perception.configuration import ConfigurationError

PACKAGE = "perception"


def share_folder() -> Path:
    """The folder that holds ``config/`` and ``launch/``: installed (share/perception) or the source tree's top.

    Raises:
        ConfigurationError: neither is there.
    """
    here = Path(__file__).resolve()
    prefixes = [Path(prefix) for prefix in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if prefix]
    # <prefix>/lib/python3.x/site-packages/perception/paths.py
    prefixes += list(here.parents[3:6])
    candidates = [prefix / "share" / PACKAGE for prefix in prefixes]
    # <top>/src/perception/perception/paths.py, as in a symlink install
    candidates.append(here.parents[3])
    for candidate in candidates:
        if (candidate / "config").is_dir():
            return candidate
    raise ConfigurationError(f"no config/ folder is installed beside {here.parent}; build the workspace (make setup)")


def find_bundle(name_or_folder: str | Path) -> Path:
    """The folder of a bundle, given by path or by its name in config/models.

    Raises:
        ConfigurationError: there is none; the message lists the names that exist.
    """
    models = share_folder() / "config" / "models"
    for candidate in (Path(name_or_folder).expanduser(), models / name_or_folder):
        if (candidate / "bundle.yaml").is_file():
            return candidate.resolve()
    names = ", ".join(sorted(file.parent.name for file in models.glob("*/bundle.yaml"))) or "none"
    raise ConfigurationError(f"no bundle '{name_or_folder}': give a folder with a bundle.yaml, or one of: {names}")
