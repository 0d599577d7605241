"""Fixtures of the graph tests."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

# The helpers lie beside the tests and are imported by their plain names.
sys.path.insert(0, str(Path(__file__).parent))

from processes import SITECUSTOMIZE
from support import Graph


@pytest.fixture
def graph() -> Iterator[Graph]:
    """A node of the test's own in the graph."""
    graph = Graph()
    yield graph
    graph.close()


@pytest.fixture
def without_torch(tmp_path: Path) -> dict[str, str]:
    """The environment of a process that can import nothing of REFUSED."""
    folder = tmp_path / "without_torch"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(SITECUSTOMIZE)
    return {"PYTHONPATH": os.pathsep.join(filter(None, (str(folder), os.environ.get("PYTHONPATH"))))}
