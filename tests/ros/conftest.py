"""Fixtures of the graph tests."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

# The helpers lie beside the tests and are imported by their plain names.
sys.path.insert(0, str(Path(__file__).parent))

from support import Graph


@pytest.fixture
def graph() -> Iterator[Graph]:
    """A node of the test's own in the graph."""
    graph = Graph()
    yield graph
    graph.close()
