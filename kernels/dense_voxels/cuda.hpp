// The operations of this folder on a GPU. Arguments as in perception_kernels/dense_voxels.h, already checked.
#pragma once

#include "common/gpu.hpp"
#include "dense_voxels/grid.hpp"

namespace pk::cuda {

void dense_coordinates(const Gpu& gpu, const float* points, const DenseSizes& sizes, bool normalize, float eps,
                       float* coordinates);
void dense_voxelize(const Gpu& gpu, const float* features, const float* coordinates, const DenseSizes& sizes,
                    float* voxels, int32_t* counts);
void dense_voxelize_gradient(const Gpu& gpu, const float* voxels_gradient, const float* coordinates,
                             const int32_t* counts, const DenseSizes& sizes, float* features_gradient);
void dense_devoxelize(const Gpu& gpu, const float* voxels, const float* coordinates, const DenseSizes& sizes,
                      float* features);
void dense_devoxelize_gradient(const Gpu& gpu, const float* features_gradient, const float* coordinates,
                               const DenseSizes& sizes, float* voxels_gradient);

}  // namespace pk::cuda
