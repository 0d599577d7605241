"""Sparse 3D operations: native kernels for NumPy arrays and CPU torch tensors, results as NumPy arrays.

`perception.ops.reference` says in plain PyTorch what each one means; `perception.ops.autograd` makes them
differentiable. Neither is imported here: the deployed path needs no PyTorch.
"""

from perception.ops.attention import group_attention
from perception.ops.bev_pool import (
    BevGrid,
    BevPlan,
    bev_plan,
    bev_pool,
    bev_pool_gradient,
    lift_pool,
    lift_pool_gradient,
)
from perception.ops.binding import default_threads, instruction_set, timed_calls
from perception.ops.boxes import ClassSuppression, box_iou, box_iou_aligned, circle_nms, rotated_nms
from perception.ops.convolution import inverse_convolution, sparse_convolution, weight_gradient
from perception.ops.coordinates import CoordinateHash, Downsampling, Voxels, downsample, unique, voxel_counts
from perception.ops.dense_voxels import (
    dense_coordinates,
    dense_devoxelize,
    dense_devoxelize_gradient,
    dense_voxelize,
    dense_voxelize_gradient,
)
from perception.ops.depth_images import depth_images
from perception.ops.detections import (
    BoxCoding,
    BoxMaps,
    Peaks,
    decode_boxes,
    decode_boxes_within,
    heatmap_peaks,
    query_scores,
)
from perception.ops.feed_forward import LayerNorm, layer_norm, linear
from perception.ops.images import ResizeTables, resize_normalize, resize_tables
from perception.ops.kernel_maps import (
    output_shape,
    strided_table,
    submanifold_table,
    transpose_table,
    window_outputs,
    window_table,
    x_fastest_weights,
)
from perception.ops.pillars import PillarGrid, Pillars, find_pillars, pillar_features, pillars_to_map, segment_reduce
from perception.ops.points import (
    devoxelize,
    devoxelize_gradient,
    scatter_mean,
    scatter_mean_gradient,
    trilinear_table,
)
from perception.ops.prepared import Dataflow, Pairs, PreparedTable, Tuning
from perception.ops.rows import (
    Labels,
    add_rows,
    best_class,
    cast,
    concatenate_columns,
    spread_labels,
    take_rows,
)
from perception.ops.sequences import sequence_convolution
from perception.ops.voxels import HardVoxels, VoxelGrid, grid_cells, quantize, voxelize, voxelize_hard
from perception.ops.windows import (
    TokenGroups,
    WindowWalk,
    add_position,
    group_tokens,
    sine_table,
    window_keys,
    window_order,
)

__all__ = [
    "BevGrid",
    "BevPlan",
    "BoxCoding",
    "BoxMaps",
    "ClassSuppression",
    "CoordinateHash",
    "Dataflow",
    "Downsampling",
    "HardVoxels",
    "Labels",
    "LayerNorm",
    "Pairs",
    "Peaks",
    "PillarGrid",
    "Pillars",
    "PreparedTable",
    "ResizeTables",
    "TokenGroups",
    "Tuning",
    "VoxelGrid",
    "Voxels",
    "WindowWalk",
    "add_position",
    "add_rows",
    "best_class",
    "bev_plan",
    "bev_pool",
    "bev_pool_gradient",
    "box_iou",
    "box_iou_aligned",
    "cast",
    "circle_nms",
    "concatenate_columns",
    "decode_boxes",
    "decode_boxes_within",
    "default_threads",
    "dense_coordinates",
    "dense_devoxelize",
    "dense_devoxelize_gradient",
    "dense_voxelize",
    "dense_voxelize_gradient",
    "depth_images",
    "devoxelize",
    "devoxelize_gradient",
    "downsample",
    "find_pillars",
    "grid_cells",
    "group_attention",
    "group_tokens",
    "heatmap_peaks",
    "instruction_set",
    "inverse_convolution",
    "layer_norm",
    "lift_pool",
    "lift_pool_gradient",
    "linear",
    "output_shape",
    "pillar_features",
    "pillars_to_map",
    "quantize",
    "query_scores",
    "resize_normalize",
    "resize_tables",
    "rotated_nms",
    "scatter_mean",
    "scatter_mean_gradient",
    "segment_reduce",
    "sequence_convolution",
    "sine_table",
    "sparse_convolution",
    "spread_labels",
    "strided_table",
    "submanifold_table",
    "take_rows",
    "timed_calls",
    "transpose_table",
    "trilinear_table",
    "unique",
    "voxel_counts",
    "voxelize",
    "voxelize_hard",
    "weight_gradient",
    "window_keys",
    "window_order",
    "window_outputs",
    "window_table",
    "x_fastest_weights",
]
