// The operations of this folder on the CPU. Arguments as in perception_kernels/dense_voxels.h, already checked.
#pragma once

#include "dense_voxels/grid.hpp"

namespace pk::cpu {

void dense_coordinates(const float* points, const DenseSizes& sizes, bool normalize, float eps, float* coordinates,
                       int threads);
void dense_voxelize(const float* features, const float* coordinates, const DenseSizes& sizes, float* voxels,
                    int32_t* counts, int threads);
void dense_voxelize_gradient(const float* voxels_gradient, const float* coordinates, const int32_t* counts,
                             const DenseSizes& sizes, float* features_gradient, int threads);
void dense_devoxelize(const float* voxels, const float* coordinates, const DenseSizes& sizes, float* features,
                      int threads);
void dense_devoxelize_gradient(const float* features_gradient, const float* coordinates, const DenseSizes& sizes,
                               float* voxels_gradient, int threads);

}  // namespace pk::cpu
