"""A short run of the fuzz test (make fuzz runs it for a minute, under sanitizers)."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.bundle.fuzz import run_once, sound_bundles
from tests.bundle.mutations import Files, mutate


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> list[Files]:
    return sound_bundles(tmp_path_factory.mktemp("sound"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("damaged")


def test_bundles_are_sound_before(sound: list[Files], folder: Path) -> None:
    assert [run_once(files, folder) for files in sound] == ["finished"] * 4


@settings(deadline=None, max_examples=160, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32 - 1), kind=st.integers(0, 3))
def test_damage_never_surprises(sound: list[Files], folder: Path, seed: int, kind: int) -> None:
    assert run_once(mutate(sound[kind], seed), folder) in ("refused", "stopped", "finished")


def test_the_same_seed_is_the_same_damage(sound: list[Files]) -> None:
    assert mutate(sound[0], 7) == mutate(sound[0], 7) != mutate(sound[0], 8)
