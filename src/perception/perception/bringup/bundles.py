"""The bundles that bring-up runs, and what the node of each is called."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path

from perception.bundle.files import BundleFiles
from perception.bundle.format import DESCRIPTION_FILE, read_any_description
from perception.configuration import ConfigurationError
from perception.paths import find_bundle


@dataclass(frozen=True)
class TaskBundle:
    """A bundle to be run, and the task of its network."""

    task: str
    folder: Path


def find_bundles(models: Sequence[str], source: Path) -> tuple[TaskBundle, ...]:
    """The bundles in the order in which they are named.

    Raises:
        ConfigurationError: a bundle that is not there or not readable, or one that is named twice.
    """
    found: list[TaskBundle] = []
    for model in models:
        folder = find_bundle(model)
        if any(bundle.folder == folder for bundle in found):
            raise ConfigurationError(f"{source}: models: {folder.name} is named twice; keep one")
        found.append(TaskBundle(read_any_description(BundleFiles(folder, DESCRIPTION_FILE)).task, folder))
    return tuple(found)


def named_bundles(bundles: Sequence[TaskBundle]) -> dict[str, TaskBundle]:
    """The name of each bundle's node: its task, or where several bundles share one, the task and the bundle's name."""
    tasks = Counter(bundle.task for bundle in bundles)
    named: dict[str, TaskBundle] = {}
    for bundle in bundles:
        name = bundle.task
        if tasks[bundle.task] > 1:
            name += "_" + re.sub("[^A-Za-z0-9]+", "_", bundle.folder.name)
        candidates = chain((name,), (f"{name}_{number}" for number in count(2)))
        named[next(one for one in candidates if one not in named)] = bundle
    return named
