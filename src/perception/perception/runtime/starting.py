"""From a bundle to a network that has shown that it works here."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from perception.configuration import load_settings
from perception.paths import find_bundle
from perception.runtime.background import run_in_background
from perception.runtime.device import gpu_index
from perception.runtime.engine import Engine, Task, load_engine
from perception.runtime.self_check import run_self_check

if TYPE_CHECKING:
    from perception.runtime.dense.engines import EngineOptions


def start_engine(
    bundle: str | Path,
    device: str = "cpu",
    threads: int | None = None,
    engine_cache: str | Path | None = None,
    engine_settings: str | Path | None = None,
    task: Task | None = None,
) -> Engine:
    """Load a bundle, run its self-check, and where that does not do it, warm its network up.

    Networks that are running meanwhile come first: the trials run at a lower priority.

    Args:
        bundle: its folder, or its name among the shipped ones.
        device: where it runs.
        threads: CPU threads; by default OMP_NUM_THREADS, else all.
        engine_cache: folder for built TensorRT engines; by default that of this machine.
        engine_settings: YAML file that says how they are built; by default that of this machine.
        task: the only task that will do: segmentation or detection; None: any.

    Raises:
        ConfigurationError: from `load_engine`, or the self-check failed; nothing stays loaded.
        Exception: whatever else the network's first run raises.
    """
    folder = find_bundle(bundle)
    engine = load_engine(folder, device, threads, _options(device, engine_cache, engine_settings), task)
    try:
        run_in_background(lambda: _try_out(engine, folder, on_gpu=gpu_index(device) is not None))
    except BaseException:
        engine.close()
        raise
    return engine


def _options(device: str, cache: str | Path | None, settings: str | Path | None) -> EngineOptions | None:
    """How engines are built where it is not as this machine does by default."""
    if gpu_index(device) is None or not (cache or settings):
        return None
    # Imported here: a machine without GPU has no use for it.
    from perception.runtime.dense.engine_cache import EngineCache
    from perception.runtime.dense.engines import EngineOptions
    from perception.runtime.dense.file_cache import FileCache
    from perception.runtime.dense.settings import EngineSettings

    options = EngineOptions()
    if cache:
        options = replace(options, cache=EngineCache(FileCache(Path(cache).expanduser())))
    if settings:
        options = replace(options, settings=load_settings(EngineSettings, Path(settings).expanduser()))
    return options


def _try_out(engine: Engine, folder: Path, on_gpu: bool) -> None:
    """Run the network for the first time.

    A GPU is tuned on frames of the usual size before anything is checked. On a CPU nothing is tuned, and the small
    cloud of the self-check leaves the cores to the network that is running meanwhile: a whole frame would take them
    for 0.3 s of a swap.
    """
    if on_gpu:
        engine.warm_up()
    checked = run_self_check(engine, folder)
    if checked is None and not on_gpu:
        engine.warm_up()
