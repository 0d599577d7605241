// For training: from the gradient of a map back to features, depth and context. The map's gradient is first laid out
// with cells before channels, so that what a point needs lies together.
#include "bev_pool/cuda.hpp"
#include "bev_pool/transpose.cuh"
#include "common/rows.cuh"

namespace pk::cuda {
namespace {

constexpr int kWarpsOfBlock = 8;

struct MapRows {
  const float* rows;  // [cells, channels]
  int64_t cells;
  int64_t channels;
};

struct LiftView {
  const int32_t* cells;
  int64_t depths;
  int64_t pixels;
  int64_t points;
  int64_t context_rows;

  __device__ int64_t context_row(int64_t point) const { return point / (depths * pixels) * pixels + point % pixels; }
  __device__ int64_t first_point(int64_t row) const { return row / pixels * depths * pixels + row % pixels; }
};

__global__ void spread_rows(MapRows map, const int32_t* cells, int64_t n, float* features_gradient) {
  const int64_t i = row_of_thread();
  if (i >= n) return;
  const int64_t cell = cells[i];
  const bool inside = cell >= 0 && cell < map.cells;
  for (int64_t c = threadIdx.x; c < map.channels; c += blockDim.x)
    features_gradient[i * map.channels + c] = inside ? map.rows[cell * map.channels + c] : 0.0F;
}

// A warp for each point: the product of its cell's gradient and its pixel's context.
__global__ void depth_products(MapRows map, LiftView lift, const float* context, float* depth_gradient) {
  const int64_t point = static_cast<int64_t>(blockIdx.x) * kWarpsOfBlock + static_cast<int64_t>(threadIdx.y);
  const int64_t cell = point < lift.points ? lift.cells[point] : -1;
  float sum = 0.0F;
  if (cell >= 0 && cell < map.cells) {
    const float* own = context + lift.context_row(point) * map.channels;
    for (int64_t c = threadIdx.x; c < map.channels; c += kWarp) sum += map.rows[cell * map.channels + c] * own[c];
  }
#pragma unroll
  for (int step = kWarp / 2; step > 0; step /= 2) sum += __shfl_xor_sync(kAllLanes, sum, step);
  if (point < lift.points && threadIdx.x == 0) depth_gradient[point] = sum;
}

// A thread for each channel of a pixel, which goes through its depths in order.
__global__ void context_sums(MapRows map, LiftView lift, const float* depth, float* context_gradient) {
  const int64_t row = row_of_thread();
  if (row >= lift.context_rows) return;
  const int64_t first = lift.first_point(row);
  for (int64_t c = threadIdx.x; c < map.channels; c += blockDim.x) {
    float sum = 0.0F;
#pragma unroll 4
    for (int64_t d = 0; d < lift.depths; ++d) {
      const int64_t point = first + d * lift.pixels;
      const int64_t cell = lift.cells[point];
      if (cell >= 0 && cell < map.cells) sum += depth[point] * map.rows[cell * map.channels + c];
    }
    context_gradient[row * map.channels + c] = sum;
  }
}

// context and context_gradient [cameras, pixels, channels].
void lift_gradient(const Gpu& gpu, const MapRows& map, const LiftView& lift, const float* depth, const float* context,
                   float* depth_gradient, float* context_gradient) {
  const Sizes sizes = {{"points", lift.points}, {"pixels", lift.context_rows}, {"channels", map.channels}};
  launch(gpu, sizes, depth_products, blocks(lift.points, kWarpsOfBlock), dim3(kWarp, kWarpsOfBlock), 0, map, lift,
         context, depth_gradient);
  launch(gpu, sizes, context_sums, row_grid(lift.context_rows, map.channels), row_block(map.channels), 0, map, lift,
         depth, context_gradient);
}

}  // namespace

void bev_pool_gradient(const Gpu& gpu, const float* map_gradient, const int32_t* cells, int64_t n, int64_t channels,
                       int32_t planes, int64_t plane_cells, float* features_gradient) {
  const Scratch<float> rows(gpu, planes * plane_cells * channels);
  transpose(gpu, map_gradient, planes, channels, plane_cells, rows.data());
  launch(gpu, {{"points", n}, {"channels", channels}}, spread_rows, row_grid(n, channels), row_block(channels), 0,
         MapRows{rows.data(), planes * plane_cells, channels}, cells, n, features_gradient);
}

void lift_pool_gradient(const Gpu& gpu, const pk_lift& sizes, const float* depth, const float* context,
                        const float* map_gradient, const int32_t* cells, float* depth_gradient,
                        float* context_gradient) {
  const int64_t channels = sizes.channels;
  const int64_t context_rows = int64_t{sizes.cameras} * sizes.pixels;
  const Scratch<float> rows(gpu, sizes.planes * sizes.plane_cells * channels);
  transpose(gpu, map_gradient, sizes.planes, channels, sizes.plane_cells, rows.data());
  const MapRows map{rows.data(), sizes.planes * sizes.plane_cells, channels};
  const LiftView lift{cells, sizes.depths, sizes.pixels, context_rows * sizes.depths, context_rows};
  if (sizes.channels_last != 0) return lift_gradient(gpu, map, lift, depth, context, depth_gradient, context_gradient);
  const Scratch<float> turned(gpu, context_rows * channels);
  const Scratch<float> turned_gradient(gpu, context_rows * channels);
  transpose(gpu, context, sizes.cameras, channels, sizes.pixels, turned.data());
  lift_gradient(gpu, map, lift, depth, turned.data(), depth_gradient, turned_gradient.data());
  transpose<float>(gpu, turned_gradient.data(), sizes.cameras, sizes.pixels, channels, context_gradient);
}

}  // namespace pk::cuda
