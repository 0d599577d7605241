// The operations of this folder on a GPU. Arguments as in perception_kernels/points.h, already checked.
#pragma once

#include "common/gpu.hpp"
#include "common/half.hpp"

namespace pk::cuda {

void trilinear_table(const Gpu& gpu, const float* points, int64_t n, int32_t stride, const pk_hash& hash,
                     int32_t* indices, float* weights);

template <typename Stored>
void devoxelize(const Gpu& gpu, const Stored* features, int64_t n_voxels, int32_t channels, const int32_t* indices,
                const float* weights, int64_t n, Stored* output);

void devoxelize_gradient(const Gpu& gpu, const float* output_gradient, int64_t n, int32_t channels,
                         const int32_t* indices, const float* weights, int64_t n_voxels, float* features_gradient);

}  // namespace pk::cuda
