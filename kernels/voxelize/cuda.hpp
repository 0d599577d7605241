// The operations of this folder on a GPU. Arguments as in perception_kernels/voxels.h, already checked.
#pragma once

#include "common/gpu.hpp"
#include "voxelize/hard.hpp"
#include "voxelize/points.hpp"

namespace pk::cuda {

void quantize(const Gpu& gpu, const Points& points, const VoxelSize& size, int32_t* coords);

int64_t voxelize(const Gpu& gpu, const Points& points, const VoxelSize& size, bool from_minimum, int32_t batch,
                 int32_t* coords, int32_t* first, int32_t* inverse, int32_t minimum[3]);

void grid_cells(const Gpu& gpu, const Points& points, const Grid& grid, bool clamp, int32_t* cells);

int64_t voxelize_hard(const Gpu& gpu, const Points& points, const HardLimits& limits, const Grid& grid,
                      const HardVoxels& output);

}  // namespace pk::cuda
