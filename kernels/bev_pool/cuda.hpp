// BEV pooling on a GPU; arguments are checked by the entry points.
#pragma once

#include "common/gpu.hpp"

namespace pk::cuda {

void bev_cells(const Gpu& gpu, const float* points, int64_t n, int64_t points_per_sample, const pk_bev_grid& grid,
               int32_t* cells);
void bev_order(const Gpu& gpu, const int32_t* cells, int64_t n, int64_t n_cells, int32_t* begins, int32_t* order);
void bev_pool(const Gpu& gpu, const void* features, int64_t n, int64_t channels, int32_t dtype, const int32_t* order,
              const int32_t* begins, int32_t planes, int64_t plane_cells, void* map);
void bev_pool_gradient(const Gpu& gpu, const float* map_gradient, const int32_t* cells, int64_t n, int64_t channels,
                       int32_t planes, int64_t plane_cells, float* features_gradient);
void lift_pool(const Gpu& gpu, const pk_lift& sizes, const void* depth, const void* context, const int32_t* order,
               const int32_t* begins, void* map);
void lift_pool_gradient(const Gpu& gpu, const pk_lift& sizes, const float* depth, const float* context,
                        const float* map_gradient, const int32_t* cells, float* depth_gradient,
                        float* context_gradient);
void depth_images(const Gpu& gpu, const float* points, int64_t n, int32_t columns, const float* image_from_lidar,
                  const float* augmentation, int32_t cameras, int32_t height, int32_t width, float* depth);

}  // namespace pk::cuda
