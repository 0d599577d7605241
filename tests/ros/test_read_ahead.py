from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from perception.ros.read_ahead import BagMessage, ReadAhead


def messages(count: int, size: int = 10) -> Iterator[BagMessage]:
    for index in range(count):
        yield BagMessage("/a", index, bytes(size))


def test_everything_comes_in_order() -> None:
    with ReadAhead(messages(1000)) as ahead:
        assert [message.time_ns for message in ahead] == list(range(1000))


def test_it_reads_no_further_than_the_limit() -> None:
    taken = []
    enough = threading.Event()

    def source() -> Iterator[BagMessage]:
        for message in messages(100):
            taken.append(message)
            if len(taken) == 4:
                enough.set()
            yield message

    with ReadAhead(source(), limit_bytes=25) as ahead:
        assert enough.wait(10)
        # Three fill the limit, the fourth is in the reader's hand.
        assert len(taken) == 4
        assert next(iter(ahead)).time_ns == 0
    assert len(taken) < 100


def test_a_message_larger_than_the_limit_passes() -> None:
    with ReadAhead(messages(3, size=100), limit_bytes=10) as ahead:
        assert len(list(ahead)) == 3


def test_an_error_comes_at_its_place() -> None:
    def source() -> Iterator[BagMessage]:
        yield from messages(2)
        raise ValueError("damaged")

    received = []
    with ReadAhead(source()) as ahead, pytest.raises(ValueError, match="damaged"):
        received.extend(iter(ahead))
    with ReadAhead(source()) as ahead:
        iterator = iter(ahead)
        assert [next(iterator).time_ns, next(iterator).time_ns] == [0, 1]


def test_leaving_early_ends_the_thread() -> None:
    before = threading.active_count()
    with ReadAhead(messages(1000), limit_bytes=1) as ahead:
        ahead.wait_for_first()
    assert threading.active_count() == before
