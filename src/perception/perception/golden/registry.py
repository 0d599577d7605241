"""Which models' golden cases can be run; a new network adds a line."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from perception.golden.bevfusion import check_lidar_encoder
from perception.golden.cases import GoldenCase
from perception.golden.checks import Check
from perception.golden.executions import Execution
from perception.golden.flatformer import check_detector, check_encoder, check_parts
from perception.golden.operations import check_operations
from perception.golden.segmentation import check_minkunet, check_spvcnn, check_spvnas

#: The `kind` of spec.json -> what runs such a case, and yields its outputs in the order of the stages.
RUNNERS: dict[str, Callable[[GoldenCase, Execution], Iterator[Check]]] = {
    "MinkUNet": check_minkunet,
    "SPVCNN": check_spvcnn,
    "SPVNAS": check_spvnas,
    "ops": check_operations,
    "FlatFormer encoder": check_encoder,
    "FlatFormer single-stage detector (DynamicCenterPoint)": check_detector,
    "FlatFormer parts": check_parts,
    "BEVFusion, camera+lidar detection, part: lidar_encoder": check_lidar_encoder,
}
