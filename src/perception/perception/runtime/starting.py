"""From a bundle to a network that has shown that it works here."""

from __future__ import annotations

from pathlib import Path

from perception.paths import find_bundle
from perception.runtime.background import run_in_background
from perception.runtime.engine import Engine, load_engine
from perception.runtime.self_check import run_self_check


def start_engine(bundle: str | Path, device: str = "cpu", threads: int | None = None) -> Engine:
    """Load a bundle, warm its network up, and run its self-check; arguments as of `load_engine`.

    Networks that are running meanwhile keep their speed: the trials run at a low priority.

    Raises:
        ConfigurationError: from `load_engine`, or the self-check failed; nothing stays loaded.
        Exception: whatever else the network's first run raises.
    """
    folder = find_bundle(bundle)
    engine = load_engine(folder, device, threads)
    try:
        run_in_background(lambda: _try_out(engine, folder))
    except BaseException:
        engine.close()
        raise
    return engine


def _try_out(engine: Engine, folder: Path) -> None:
    engine.warm_up()
    run_self_check(engine, folder)
