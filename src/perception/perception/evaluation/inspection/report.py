"""What `perception inspect` shows."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from perception.bundle.definitions import DEFINITIONS
from perception.bundle.format import BundleDescription, CommonDescription, DetectionDescription, PvcnnSettings
from perception.bundle.loading import Bundle
from perception.runtime.device.figures import DeviceFigures
from perception.runtime.inspection import FrameCosts

MEMORY_PARTS = {
    "weights": "weights, batch norms folded in",
    "regions": "dense regions in ONNX Runtime, as measured here",
    "tables": "coordinates and kernel maps",
    "features": "features, which share one piece of memory",
    "kernels": "what a kernel needs besides",
    "points": "the cloud, its voxels and labels",
}
NAME_COLUMNS = 11


@dataclass(frozen=True)
class Inspection:
    """A bundle with what it costs.

    Attributes:
        bundle: loaded, and so checked.
        clouds: where the clouds come from.
        costs: of each cloud.
        device: the GPU of this machine, if it has one.
    """

    bundle: Bundle[Any]
    clouds: str
    costs: Sequence[FrameCosts]
    device: DeviceFigures = field(default_factory=DeviceFigures)

    @property
    def dearest(self) -> FrameCosts:
        """The costs of the cloud that needs most memory."""
        return max(self.costs, key=lambda one: one.memory.total)

    @property
    def files(self) -> dict[str, int]:
        """Bytes of each file that belongs to the bundle."""
        names = ("bundle.yaml", "weights.safetensors", *self.bundle.description.files)
        return {name: (self.bundle.folder / name).stat().st_size for name in names}

    @property
    def parameters(self) -> int:
        """Numbers in its weights."""
        return sum(int(tensor.size) for tensor in self.bundle.tensors.values() if tensor.dtype.kind == "f")

    def stages(self) -> dict[str, dict[str, Any]]:
        """Operations, types and multiply-accumulates of every stage; those of the dearest cloud."""
        stages: dict[str, dict[str, Any]] = {}
        for operation in self.bundle.graph.operations:
            stage = stages.setdefault(operation.stage, {"operations": 0, "dtypes": Counter(), "mac": 0})
            stage["operations"] += 1
            stage["dtypes"][None if DEFINITIONS[operation.op].is_table else operation.dtype] += 1
        for name, count in self.dearest.by_stage(self.bundle.graph).items():
            stages[name]["mac"] = count
        for stage in stages.values():
            stage["dtypes"] = {dtype: count for dtype, count in stage["dtypes"].items() if dtype}
        return stages

    def to_json(self) -> str:
        """Everything; sizes in bytes."""
        description, cost = self.bundle.description, self.dearest
        values = {
            "folder": str(self.bundle.folder),
            "description": description.model_dump(mode="json", exclude={"files", "colors"}, exclude_none=True),
            "files_bytes": self.files,
            "parameters": self.parameters,
            "regions": list(dict.fromkeys(self.bundle.graph.regions())),
            "stages": self.stages(),
            "clouds": self.clouds,
            "points": [one.points for one in self.costs],
            "counts": cost.runs[0] if len(cost.runs) == 1 else {"runs": len(cost.runs)},
            "mac": sum(cost.multiplications.values()),
            "device": asdict(self.device),
            "memory_bytes": {**asdict(cost.memory), "total": cost.memory.total},
        }
        return json.dumps(values, indent=1, ensure_ascii=False)


def print_inspection(console: Console, inspection: Inspection) -> None:
    """Print what the bundle is, then what it costs."""
    for name, text in _facts(inspection):
        console.print(_fact(name, text))
    console.print()
    console.print(_stages(inspection))
    console.print()
    _print_sizes(console, inspection)
    console.print()
    console.print(_memory(inspection))


def _facts(inspection: Inspection) -> Iterable[tuple[str, str]]:
    bundle = inspection.bundle
    description, files = bundle.description, inspection.files
    operations = bundle.graph.operations
    yield "bundle", f"{description.name}, {description.task} by {_network(inspection)}"
    yield "classes", f"{len(description.classes)}: {', '.join(description.classes)}"
    yield _input(description)
    if elastic := getattr(description, "supernet", None):
        yield (
            "supernet",
            f"holds networks down to {elastic.min_ratio:.0%} of its widths, ".replace("%", " %")
            + (f"in steps of {elastic.granularity} channels, {elastic.min_depth} or more blocks a stage"),
        )
    yield "license", description.license
    yield "origin", description.origin
    for key, text in {"mean_iou": "mean IoU", "map": "mean average precision"}.items():
        if key in description.measured:
            yield "measured", f"{text} {description.measured[key]} on {description.measured.get('on', 'unnamed data')}"
    yield "files", f"{_size(sum(files.values()))}: " + ", ".join(f"{name} {_size(one)}" for name, one in files.items())
    layers = Counter(one.dtype for one in operations if DEFINITIONS[one.op].multiplications)
    yield "layers", ", ".join(f"{count} in {dtype}" for dtype, count in sorted(layers.items()))
    regions = list(dict.fromkeys(bundle.graph.regions()))
    dense = f", {len(regions)} dense regions" if regions else ""
    yield "graph", f"{len(operations)} operations, {inspection.parameters:,} weights{dense}"
    if device := _device(inspection.device):
        yield "device", device


def _input(description: CommonDescription) -> tuple[str, str]:
    """What the network looks at."""
    if isinstance(description, DetectionDescription):
        low_x, low_y, _, high_x, high_y, _ = description.network.range_m
        height, width = description.network.grid_size
        cells = f"{width} x {height} cells of {description.network.cell_m[0]:g} m"
        sweeps = f"{description.sweeps} sweep{'s' * (description.sweeps > 1)}"
        return "range", f"x {low_x:g} to {high_x:g} m, y {low_y:g} to {high_y:g} m, {cells}, {sweeps}"
    assert isinstance(description, BundleDescription)
    return "voxels", f"{description.voxel_size_m:g} m, at most {description.capacity_voxels:,} a cloud"


def _device(figures: DeviceFigures) -> str:
    """The GPU of this machine, as far as it tells."""
    parts = [figures.name or ""] if figures.name or figures.memory_total_bytes else []
    if figures.memory_total_bytes:
        used = f", {figures.memory_used_bytes / 2**30:.1f} in use" if figures.memory_used_bytes is not None else ""
        parts.append(f"{figures.memory_total_bytes / 2**30:.1f} GiB{used}")
    parts += [f"{figures.temperature_c:.0f} °C"] if figures.temperature_c is not None and parts else []
    parts += [f"power mode {figures.power_mode}"] if figures.power_mode else []
    return ", ".join(part for part in parts if part)


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.1f} kB"


def _network(inspection: Inspection) -> str:
    network = inspection.bundle.description.network
    if isinstance(network, PvcnnSettings):
        return f"{network.model} of width {network.width:g} on blocks of {network.blocks.size_m:g} m"
    width = getattr(network, "width", None)
    return network.model if width is None else f"{network.model} of width {width:g}"


def _fact(name: str, text: str) -> Table:
    """A name and its text beside it, which may be broken over several lines."""
    grid = Table.grid(padding=0)
    grid.add_column(width=NAME_COLUMNS, style="dim")
    grid.add_column(overflow="fold")
    grid.add_row(name, Text(text))
    return grid


def _table(*columns: str) -> Table:
    """A plain table; the first column is text, the others are numbers."""
    table = Table(box=None, header_style="dim", pad_edge=False)
    table.add_column(columns[0])
    for column in columns[1:]:
        table.add_column(column, justify="right")
    return table


def _stages(inspection: Inspection) -> Table:
    """What each stage computes."""
    stages = inspection.stages()
    total = sum(stage["mac"] for stage in stages.values())
    table = _table("stage", "operations", "in", "GMAC", "share")
    for name, stage in stages.items():
        share = f"{stage['mac'] / total:.1%}".replace("%", " %") if stage["mac"] else ""
        dtypes = ", ".join(sorted(stage["dtypes"]))
        table.add_row(name, str(stage["operations"]), dtypes, f"{stage['mac'] / 1e9:.3f}" if share else "", share)
    table.add_row("total", str(len(inspection.bundle.graph.operations)), "", f"{total / 1e9:.3f}", "", style="bold")
    return table


def _print_sizes(console: Console, inspection: Inspection) -> None:
    """Print what the dearest cloud is like."""
    cost = inspection.dearest
    head = f"{inspection.clouds}: {cost.points:,} points"
    counts = cost.runs[0]
    if "blocks" in counts:
        blocks = sum(run["blocks"] for run in cost.runs)
        console.print(_fact("cloud", f"{head} in {blocks:,} blocks, {len(cost.runs)} groups of about the same size"))
        return
    if "pillars" in counts:
        head += f", {counts['points']:,} in range, {counts['pillars']:,} pillars"
    console.print(_fact("cloud", head))
    if "voxels/1" not in counts:
        return
    table = _table("level", "voxels", "neighbours", "of 27")
    for size, rows in counts.items():
        if size.startswith("voxels/"):
            pairs = _neighbours(inspection.bundle, size, counts)
            table.add_row(size[7:], f"{rows:,}", *((f"{pairs:,}", f"{pairs / rows:.1f}") if pairs else ()))
    console.print(table)


def _neighbours(bundle: Bundle[Any], size: str, counts: Any) -> int:
    """Pairs of the 3x3x3 table of a level."""
    for operation in bundle.graph.operations:
        if operation.op == "submanifold_table":
            table = operation.outputs["table"]
            if bundle.graph.specs[table].shape[0] == size:
                return int(counts.get(f"pairs of {table}", 0))
    return 0


def _memory(inspection: Inspection) -> Table:
    """What a frame needs at its worst moment."""
    memory = inspection.dearest.memory
    table = _table("memory of a frame, beside the process itself", "MB")
    for part, text in MEMORY_PARTS.items():
        size = getattr(memory, part)
        if size:
            table.add_row(text, f"{size / 1e6:.1f}")
    table.add_row("total", f"{memory.total / 1e6:.1f}", style="bold")
    return table
