// The operations of this folder on a GPU. Arguments as in perception_kernels/points.h, already checked.
#pragma once

#include "common/gpu.hpp"
#include "common/half.hpp"

namespace pk::cuda {

template <typename Stored>
void scatter_mean(const Gpu& gpu, const Stored* features, int64_t n, int32_t channels, const int32_t* index,
                  int64_t n_voxels, Stored* means, int32_t* counts);

void scatter_mean_gradient(const Gpu& gpu, const float* means_gradient, int64_t n_voxels, int32_t channels,
                           const int32_t* index, const int32_t* counts, int64_t n, float* features_gradient);

}  // namespace pk::cuda
