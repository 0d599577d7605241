"""The choice of how a GPU computes convolutions, timed by events, kept beside the engines of the dense regions."""

from __future__ import annotations

from collections.abc import Callable

from perception.ops.tuning import ConvolutionTuner, Timer
from perception.runtime.dense.file_cache import default_folder
from perception.runtime.device.streams import EventTimer, Streams

REPEATS = 5


def tuner_of(streams: Streams) -> ConvolutionTuner:
    """Make the tuner of an engine, which measures nothing until it is told to."""
    properties = streams.device.properties
    major, minor = properties.compute_capability
    tuner = ConvolutionTuner(default_folder(), f"{properties.name} sm {major}{minor}", event_timer(streams))
    tuner.measures = False
    return tuner


def event_timer(streams: Streams) -> Timer:
    """Give a timer of calls that queue work: the fastest of several runs, after a first one that is not counted."""

    def elapsed_ms(run: Callable[[], object]) -> float:
        run()
        times_ms = []
        for _ in range(REPEATS):
            timer = EventTimer(streams)
            with timer.stage("run"):
                run()
            times_ms.append(timer.stage_ms["run"])
        return min(times_ms)

    return elapsed_ms
