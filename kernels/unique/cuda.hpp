#pragma once

#include "common/gpu.hpp"

namespace pk::cuda {

void unique(const Gpu& gpu, const int32_t* coords, int64_t n, int32_t* unique_coords, int32_t* first, int32_t* inverse,
            int64_t* count);
void downsample(const Gpu& gpu, const int32_t* coords, int64_t n, const int32_t* stride, int32_t* coarse_coords,
                int32_t* parent, uint8_t* offset, int64_t* count);
void voxel_counts(const Gpu& gpu, const int32_t* inverse, int64_t n, int64_t n_voxels, int32_t* counts);

}  // namespace pk::cuda
