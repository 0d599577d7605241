// For training: from the gradient of a map back to features, depth and context.
#include <algorithm>
#include <vector>

#include "bev_pool/checks.hpp"
#include "bev_pool/cuda.hpp"
#include "bev_pool/inner_loops.hpp"

namespace pk {
namespace {

// [planes, channels, plane_cells] as [cells, channels], so that what a point needs lies together.
std::vector<float> cells_first(const float* map, int32_t planes, int64_t plane_cells, int64_t channels, int threads) {
  constexpr int64_t kTile = 256;
  std::vector<float> turned(static_cast<size_t>(planes * plane_cells * channels));
  const int64_t per_plane = (plane_cells + kTile - 1) / kTile;
#pragma omp parallel for num_threads(threads) schedule(static)
  for (int64_t tile = 0; tile < planes * per_plane; ++tile) {
    const int64_t plane = tile / per_plane;
    const int64_t first = tile % per_plane * kTile;
    bev_loops().transpose(map + plane * channels * plane_cells + first, channels, std::min(kTile, plane_cells - first),
                          plane_cells, turned.data() + (plane * plane_cells + first) * channels, channels);
  }
  return turned;
}

void spread(const float* map_gradient, const int32_t* cells, int64_t n, int64_t channels, int32_t planes,
            int64_t plane_cells, int threads, float* features_gradient) {
  const std::vector<float> rows = cells_first(map_gradient, planes, plane_cells, channels, threads);
#pragma omp parallel for num_threads(threads) schedule(static)
  for (int64_t i = 0; i < n; ++i) {
    if (cells[i] >= 0)
      std::copy_n(rows.data() + cells[i] * channels, channels, features_gradient + i * channels);
    else
      std::fill_n(features_gradient + i * channels, channels, 0.0F);
  }
}

// context and context_gradient [cameras * pixels, channels].
void lift_gradient(const pk_lift& lift, const float* depth, const float* context, const float* map_gradient,
                   const int32_t* cells, int threads, float* depth_gradient, float* context_gradient) {
  const std::vector<float> rows = cells_first(map_gradient, lift.planes, lift.plane_cells, lift.channels, threads);
  const auto kernel = bev_loops().pixel_gradient;
#pragma omp parallel for num_threads(threads) schedule(static)
  for (int64_t row = 0; row < int64_t{lift.cameras} * lift.pixels; ++row) {
    const int64_t point = row / lift.pixels * lift.depths * lift.pixels + row % lift.pixels;
    kernel({rows.data(), cells + point, depth + point, context + row * lift.channels, lift.channels, lift.depths,
            lift.pixels, depth_gradient + point, context_gradient + row * lift.channels});
  }
}

// Turn each camera's [rows, columns] around.
void turn_cameras(const float* from, int32_t cameras, int64_t rows, int64_t columns, int threads, float* to) {
#pragma omp parallel for num_threads(threads) schedule(static)
  for (int32_t camera = 0; camera < cameras; ++camera)
    bev_loops().transpose(from + camera * rows * columns, rows, columns, columns, to + camera * rows * columns, rows);
}

void lift_gradient_any_layout(const pk_lift& lift, const float* depth, const float* context, const float* map_gradient,
                              const int32_t* cells, int threads, float* depth_gradient, float* context_gradient) {
  if (lift.channels_last != 0)
    return lift_gradient(lift, depth, context, map_gradient, cells, threads, depth_gradient, context_gradient);
  std::vector<float> turned(static_cast<size_t>(lift.cameras) * lift.pixels * lift.channels);
  std::vector<float> turned_gradient(turned.size());
  turn_cameras(context, lift.cameras, lift.channels, lift.pixels, threads, turned.data());
  lift_gradient(lift, depth, turned.data(), map_gradient, cells, threads, depth_gradient, turned_gradient.data());
  turn_cameras(turned_gradient.data(), lift.cameras, lift.pixels, lift.channels, threads, context_gradient);
}

}  // namespace
}  // namespace pk

extern "C" {

pk_status pk_bev_pool_gradient(const pk_execution* where, const float* map_gradient, const int32_t* cells, int64_t n,
                               int32_t channels, int32_t planes, int64_t plane_cells, float* features_gradient) {
  return pk::guarded("BEV pooling gradient", [&] {
    const int64_t n_cells = pk::require_map(planes, plane_cells, channels);
    pk::require_rows(n, "points");
    pk::require_array(map_gradient, n_cells, "map_gradient");
    pk::require_array(cells, n, "cells");
    pk::require_array(features_gradient, n, "features_gradient");
    if (const pk::Gpu gpu = pk::gpu_of(where))
      return PK_CUDA(
          pk::cuda::bev_pool_gradient(gpu, map_gradient, cells, n, channels, planes, plane_cells, features_gradient));
    pk::require_cells(cells, n, n_cells);
    const int threads = pk::useful_threads(pk::cpu_threads(where), n * channels, pk::kSmallestShareOfSums);
    pk::spread(map_gradient, cells, n, channels, planes, plane_cells, threads, features_gradient);
  });
}

pk_status pk_lift_pool_gradient(const pk_execution* where, const pk_lift* sizes, const float* depth,
                                const float* context, const float* map_gradient, const int32_t* cells,
                                float* depth_gradient, float* context_gradient) {
  return pk::guarded("lift and pool gradient", [&] {
    const int64_t n = pk::require_lift(sizes);
    const int64_t pixels = int64_t{sizes->cameras} * sizes->pixels;
    const int64_t n_cells = sizes->planes * sizes->plane_cells;
    pk::require(sizes->dtype == PK_FLOAT32, "gradients are float32");
    pk::require_array(depth, n, "depth");
    pk::require_array(context, pixels, "context");
    pk::require_array(map_gradient, n_cells, "map_gradient");
    pk::require_array(cells, n, "cells");
    pk::require_array(depth_gradient, n, "depth_gradient");
    pk::require_array(context_gradient, pixels, "context_gradient");
    if (const pk::Gpu gpu = pk::gpu_of(where))
      return PK_CUDA(pk::cuda::lift_pool_gradient(gpu, *sizes, depth, context, map_gradient, cells, depth_gradient,
                                                  context_gradient));
    pk::require_cells(cells, n, n_cells);
    const int threads = pk::useful_threads(pk::cpu_threads(where), n * sizes->channels, pk::kSmallestShareOfSums);
    pk::lift_gradient_any_layout(*sizes, depth, context, map_gradient, cells, threads, depth_gradient,
                                 context_gradient);
  });
}
}
