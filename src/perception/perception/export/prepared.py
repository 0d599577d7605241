"""A network with all that its export needs, whatever its task: its graph, and a record of what PyTorch computes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from perception.bundle.deployment_checks import interface_of
from perception.bundle.format import CommonDescription
from perception.configuration import ConfigurationError
from perception.export.centerpoint import lower_centerpoint
from perception.export.comparison import Recorded
from perception.export.flatformer import lower_flatformer
from perception.export.lowering import LoweredNetwork, lower
from perception.export.map_detector import BEV, RESULT, DensePart
from perception.export.self_check import made_up_street
from perception.export.tracing import trace
from perception.export.verification import check_record
from perception.models.centerpoint import CenterPoint
from perception.models.detector import MapDetector
from perception.models.flatformer import FlatFormer
from perception.nn import backends, pillar_backends

#: How each kind of detector becomes a graph, and what computes the same in plain PyTorch.
DETECTORS: dict[type, tuple[Callable[[Any], LoweredNetwork], Any]] = {
    FlatFormer: (lower_flatformer, pillar_backends.REFERENCE),
    CenterPoint: (lower_centerpoint, backends.REFERENCE),
}


@dataclass(frozen=True)
class Prepared:
    """A network that can be written and compared.

    Attributes:
        lowered: its graph.
        recorded: the network in PyTorch, whose steps `lowered.twins` names.
    """

    lowered: LoweredNetwork
    recorded: Recorded


def prepare(network: nn.Module, description: CommonDescription) -> Prepared:
    """Express a network in operations of the executor.

    Raises:
        ConfigurationError: the executor has no operation for something, or a record misses what the network does.
    """
    if isinstance(network, MapDetector):
        return _prepare_detector(network)
    traced = trace(network)
    check_record(traced, description, made_up_street())
    return Prepared(lower(traced, interface_of(description).inputs), traced)


def _prepare_detector(network: MapDetector) -> Prepared:
    if type(network) not in DETECTORS:
        raise ConfigurationError(f"{type(network).__name__}: the executor cannot run this kind of detector")
    lower_detector, backend = DETECTORS[type(network)]
    lowered = lower_detector(network)
    modules = {str(name) for name in lowered.twins.values()} - {BEV, RESULT}
    return Prepared(lowered, RecordedDetector(network, modules, backend))


class RecordedDetector:
    """A detector in plain PyTorch, with what some of its modules give; see `perception.export.comparison.Recorded`.

    Args:
        network: the detector; it is put into evaluation mode.
        modules: names of modules that give one tensor, or a sparse one.
        backend: what its encoder computes with.
    """

    def __init__(self, network: MapDetector, modules: Collection[str], backend: Any) -> None:
        self._network = network.eval()
        self._modules = modules
        self._backend = backend
        self._dense = DensePart(network)

    def values(self, *inputs: Any) -> Iterator[tuple[str, Tensor]]:
        """What the modules give for points, float32 [N, C], then the map, then all maps of the head side by side."""
        found: list[tuple[str, Tensor]] = []

        def remember(name: str, module: nn.Module) -> Any:
            def hook(_module: nn.Module, _given: Any, value: Any) -> None:
                found.append((name, getattr(value, "features", value)))

            return module.register_forward_hook(hook)

        hooks = [remember(name, self._network.get_submodule(name)) for name in self._modules]
        try:
            with torch.inference_mode():
                bev = self._network.bev(inputs, self._backend)
                maps = self._dense(bev).contiguous()
        finally:
            for hook in hooks:
                hook.remove()
        yield from found
        yield BEV, bev
        yield RESULT, maps
