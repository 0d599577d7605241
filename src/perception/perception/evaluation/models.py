"""The networks of an evaluation, each with a name of its own."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from perception.bundle.deployment_checks import check_features
from perception.bundle.files import BundleFiles
from perception.bundle.format import (
    DESCRIPTION_FILE,
    CommonDescription,
    DetectionDescription,
    check_weights_file,
    read_any_description,
)
from perception.configuration import ConfigurationError
from perception.paths import find_bundle


@dataclass(frozen=True)
class EvaluatedModel:
    """A network that is evaluated.

    Attributes:
        name: tells it apart in this run; also the name of files and of topics.
        folder: its bundle.
        description: what the bundle says.
    """

    name: str
    folder: Path
    description: CommonDescription


def find_models(words: Sequence[str]) -> tuple[EvaluatedModel, ...]:
    """Find the bundles that a command line names, and check that they can be run.

    Args:
        words: of each a folder or a name in config/models, or `name=` and one of these.

    Raises:
        ConfigurationError: none at all, no such bundle, or a damaged one.
    """
    if not words:
        raise ConfigurationError("name at least one network: a bundle's folder, or its name in config/models")
    given = [word.partition("=") if "=" in word else ("", "", word) for word in words]
    folders = [find_bundle(place) for _, _, place in given]
    names = unique_names(name or folder.name for (name, _, _), folder in zip(given, folders, strict=True))
    return tuple(EvaluatedModel(name, folder, _describe(folder)) for name, folder in zip(names, folders, strict=True))


def unique_names(wanted: Iterable[str]) -> tuple[str, ...]:
    """Turn texts into names of files and topics that differ from each other: letters, digits and underscores."""
    names: list[str] = []
    for text in wanted:
        plain = re.sub(r"\W", "_", text, flags=re.ASCII) or "_"
        numbered = (f"{plain}_{number}" for number in range(2, len(names) + 3))
        names.append(plain if plain not in names else next(name for name in numbered if name not in names))
    return tuple(names)


def _describe(folder: Path) -> CommonDescription:
    files = BundleFiles(folder, DESCRIPTION_FILE)
    description = read_any_description(files)
    check_weights_file(files, description)
    if isinstance(description, DetectionDescription):
        check_features(description)
    return description
