"""Executing bundles: `start_engine` gives an `Engine`, whose `forward` turns a `Frame` into a result."""

from perception.runtime.engine import Engine, Task, load_engine
from perception.runtime.starting import start_engine
from perception.runtime.timing import StageTimer

__all__ = ["Engine", "StageTimer", "Task", "load_engine", "start_engine"]
