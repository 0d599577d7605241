"""Swapping networks between frames."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
from fake_engine import FakeEngine

from perception.configuration import ConfigurationError
from perception.nodes.engine_slot import EngineSlot
from perception.types import Frame, PointCloud


class Silent:
    """Stands in for the node's logger."""

    def info(self, text: str) -> None:
        """Say nothing."""


class Starter:
    """Gives the engines that it holds, by name, or raises the exceptions."""

    def __init__(self, **engines):
        self.engines = engines
        self.settings = []

    def __call__(self, bundle, **settings):
        self.settings.append(settings)
        if isinstance(self.engines[bundle], Exception):
            raise self.engines[bundle]
        return self.engines[bundle]


def make_slot(**engines) -> EngineSlot:
    return EngineSlot(Starter(**engines), Silent())


@pytest.fixture
def frame() -> Frame:
    return Frame(PointCloud(np.array([(1.0, 2.0, 3.0, 0.5)], np.float32)))


def test_it_starts_empty_and_says_so():
    slot = make_slot()
    assert slot.description is None
    with pytest.raises(ConfigurationError, match="configure the node"), slot.frame():
        pass
    slot.close()


def test_the_settings_reach_the_starter():
    starter = Starter(a=FakeEngine("a"))
    EngineSlot(starter, Silent()).load("a", {"device": "cpu", "threads": 3})
    assert starter.settings == [{"device": "cpu", "threads": 3}]


def test_a_swap_closes_the_old_network_and_counts():
    a, b = FakeEngine("a"), FakeEngine("b")
    slot = make_slot(a=a, b=b)
    slot.load("a", {})
    assert slot.load("b", {}).name == "b"
    assert (a.is_closed, b.is_closed) == (True, False)
    assert (slot.history.loaded, slot.history.refused, slot.history.problem) == (2, 0, "")
    slot.close()
    assert b.is_closed
    assert slot.description is None


@pytest.mark.parametrize("error", [ConfigurationError("cannot"), RuntimeError("cannot")])
def test_the_old_network_stays_when_the_new_one_does_not_start(frame, error):
    a = FakeEngine("a")
    slot = make_slot(a=a, b=error)
    slot.load("a", {})
    with pytest.raises(type(error)):
        slot.load("b", {})
    with slot.frame() as engine:
        engine.forward(frame)
    assert a.calls == ["forward"]
    assert slot.history.refused == 1
    assert slot.history.problem.endswith("cannot")
    slot.load("a", {})
    assert slot.history.problem == ""


def test_a_first_load_that_fails_is_no_refused_swap():
    slot = make_slot(a=ConfigurationError("cannot"))
    with pytest.raises(ConfigurationError):
        slot.load("a", {})
    assert (slot.history.refused, slot.history.problem) == (0, "cannot")


def test_the_new_network_is_closed_when_it_may_not_be_swapped_in():
    a, b = FakeEngine("a"), FakeEngine("b")
    slot = make_slot(a=a, b=b)
    slot.load("a", {})

    def refuse(description):
        assert description.name == "b"
        raise ConfigurationError("cleaned up meanwhile")

    with pytest.raises(ConfigurationError, match="cleaned up"):
        slot.load("b", {}, refuse)
    assert (a.is_closed, b.is_closed) == (False, True)
    assert slot.description.name == "a"


@pytest.mark.parametrize("attempt", range(10))
def test_the_frame_at_hand_ends_on_the_old_network_and_the_next_begins_on_the_new_one(frame, attempt):
    """A lock alone is not fair: the thread that gives it back may take it again before one that waits wakes up."""
    begun, go_on, events = threading.Event(), threading.Event(), []

    def wait():
        begun.set()
        assert go_on.wait(20)

    a, b = FakeEngine("a", on_forward=wait), FakeEngine("b")
    slot = make_slot(a=a, b=b)
    slot.load("a", {})

    def work():
        for _ in range(2):
            with slot.frame() as engine:
                engine.forward(frame)
                events.append(f"published {engine.description.name}")

    def swap():
        slot.load("b", {}, lambda description: events.append(f"announced {description.name}"))

    worker, swapper = threading.Thread(target=work), threading.Thread(target=swap)
    worker.start()
    assert begun.wait(20)
    swapper.start()
    while not slot._turnstile.locked():  # the swap has come to where it waits
        time.sleep(1e-4)
    assert (a.is_closed, slot.description.name) == (False, "a")
    go_on.set()
    worker.join(20)
    swapper.join(20)
    assert events == ["published a", "announced b", "published b"]
    assert a.is_closed
