"""Ctrl-C between and during items."""

import os
import signal

from perception.evaluation.interruption import Interruption


def interrupt():
    os.kill(os.getpid(), signal.SIGINT)


def taken(stream):
    with Interruption() as interruption:
        return list(interruption.items(stream)), interruption.signal


def test_a_stream_that_is_waited_for_ends():
    def stream():
        yield 1
        interrupt()
        yield 2

    assert taken(stream()) == ([1], signal.SIGINT)


def test_what_a_stream_had_made_before_is_taken():
    def stream():
        yield 1
        try:
            interrupt()
        except KeyboardInterrupt as interruption:
            yield 2
            yield 3
            raise interruption

    assert taken(stream()) == ([1, 2, 3], signal.SIGINT)


def test_between_two_items_the_stream_is_closed():
    closed = []

    def stream():
        try:
            yield from (1, 2, 3)
        finally:
            closed.append(True)

    with Interruption() as interruption:
        items = []
        for item in interruption.items(stream()):
            items.append(item)
            interrupt()
    assert (items, closed, interruption.signal) == ([1], [True], signal.SIGINT)
