// Every frame: the sum of each cell's points. A block sums a tile of cells, lanes are channels; the tile is then turned
// around in shared memory, so that the map is written in whole lines too. Sums run in the plan's order.
#include "bev_pool/cuda.hpp"
#include "bev_pool/transpose.cuh"

namespace pk::cuda {
namespace {

constexpr int kTogether = 4;

struct PlanView {
  const int32_t* order;
  const int32_t* begins;
  int64_t points;
  int64_t plane_cells;
  int64_t tiles_of_plane;
};

// Which row of the features a point adds, and how much of it.
struct Share {
  int32_t row;
  float weight;
};

template <typename Stored>
struct PointFeatures {
  const Stored* features;
  __device__ Share share(int32_t point) const { return {point, 1.0F}; }
};

template <typename Stored>
struct LiftedFeatures {
  const Stored* features;  // the context, [cameras, pixels, channels]
  const Stored* depth;
  uint32_t depths;
  uint32_t pixels;
  __device__ Share share(int32_t point) const {
    const uint32_t slice = static_cast<uint32_t>(point) / pixels;
    const uint32_t row = slice / depths * pixels + static_cast<uint32_t>(point) % pixels;
    return {static_cast<int32_t>(row), to_float(depth[point])};
  }
};

// The sum of one channel over the points of a cell. All lanes of the warp call it, for the same cell: each looks one
// point up and hands it round.
template <typename Source>
__device__ float sum_cell(const Source& source, const PlanView& plan, int64_t cell, int64_t channel, int64_t channels) {
  const int64_t begin = plan.begins[cell] > 0 ? plan.begins[cell] : 0;
  const int64_t end = plan.begins[cell + 1] < plan.points ? plan.begins[cell + 1] : plan.points;
  float sum = 0.0F;
  for (int64_t first = begin; first < end; first += kWarp) {
    const int64_t entry = first + static_cast<int64_t>(threadIdx.x);
    const int32_t point = entry < end ? plan.order[entry] : -1;
    const Share own = point >= 0 && point < plan.points ? source.share(point) : Share{-1, 0.0F};
    const int count = end - first < kWarp ? static_cast<int>(end - first) : kWarp;
    // Four at once, whose loads overlap; a lane without a point hands -1 round.
    for (int i = 0; i < count; i += kTogether) {
#pragma unroll
      for (int j = 0; j < kTogether; ++j) {
        const int64_t row = __shfl_sync(kAllLanes, own.row, i + j);
        const float weight = __shfl_sync(kAllLanes, own.weight, i + j);
        if (row >= 0 && channel < channels) sum += weight * to_float(source.features[row * channels + channel]);
      }
    }
  }
  return sum;
}

template <typename Stored, typename Source>
__global__ void pool_tiles(Source source, PlanView plan, int64_t channels, Stored* map) {
  __shared__ float sums[kTileSide][kTileSide + 1];
  const int64_t plane = blockIdx.x / plan.tiles_of_plane;
  const int64_t first_cell = blockIdx.x % plan.tiles_of_plane * kTileSide;
  const int64_t first_channel = static_cast<int64_t>(blockIdx.y) * kTileSide;
  const int lane = static_cast<int>(threadIdx.x);
  for (int i = static_cast<int>(threadIdx.y); i < kTileSide; i += kTileWarps) {
    const int64_t cell = first_cell + i;
    if (cell < plan.plane_cells)
      sums[i][lane] = sum_cell(source, plan, plane * plan.plane_cells + cell, first_channel + lane, channels);
  }
  __syncthreads();
  for (int i = static_cast<int>(threadIdx.y); i < kTileSide; i += kTileWarps)
    if (first_channel + i < channels && first_cell + lane < plan.plane_cells)
      map[(plane * channels + first_channel + i) * plan.plane_cells + first_cell + lane] =
          from_float<Stored>(sums[lane][i]);
}

template <typename Stored, typename Source>
void pool(const Gpu& gpu, const Source& source, const PlanView& plan, int32_t planes, int64_t channels, void* map) {
  const int64_t channel_tiles = tiles_along(channels);
  require(channel_tiles <= 65535, "too many channels for one launch");
  const dim3 grid(blocks(planes * plan.tiles_of_plane, 1), static_cast<unsigned>(channel_tiles));
  launch(gpu, {{"points", plan.points}, {"channels", channels}, {"planes", planes}, {"cells", plan.plane_cells}},
         pool_tiles<Stored, Source>, grid, dim3(kTileSide, kTileWarps), 0, source, plan, channels,
         static_cast<Stored*>(map));
}

template <typename Stored>
void lift(const Gpu& gpu, const pk_lift& sizes, const void* depth, const void* context, const PlanView& plan,
          void* map) {
  const int64_t pixels = sizes.pixels;
  const int64_t channels = sizes.channels;
  const bool turn = sizes.channels_last == 0;
  const Scratch<Stored> turned(gpu, turn ? sizes.cameras * pixels * channels : 0);
  if (turn) transpose(gpu, static_cast<const Stored*>(context), sizes.cameras, channels, pixels, turned.data());
  const LiftedFeatures<Stored> source{turn ? turned.data() : static_cast<const Stored*>(context),
                                      static_cast<const Stored*>(depth), static_cast<uint32_t>(sizes.depths),
                                      static_cast<uint32_t>(pixels)};
  pool<Stored>(gpu, source, plan, sizes.planes, channels, map);
}

}  // namespace

void bev_pool(const Gpu& gpu, const void* features, int64_t n, int64_t channels, int32_t dtype, const int32_t* order,
              const int32_t* begins, int32_t planes, int64_t plane_cells, void* map) {
  const PlanView plan{order, begins, n, plane_cells, tiles_along(plane_cells)};
  if (dtype == PK_FLOAT32)
    pool<float>(gpu, PointFeatures<float>{static_cast<const float*>(features)}, plan, planes, channels, map);
  else
    pool<Half>(gpu, PointFeatures<Half>{static_cast<const Half*>(features)}, plan, planes, channels, map);
}

void lift_pool(const Gpu& gpu, const pk_lift& sizes, const void* depth, const void* context, const int32_t* order,
               const int32_t* begins, void* map) {
  const int64_t points = int64_t{sizes.cameras} * sizes.depths * sizes.pixels;
  const PlanView plan{order, begins, points, sizes.plane_cells, tiles_along(sizes.plane_cells)};
  if (sizes.dtype == PK_FLOAT32)
    lift<float>(gpu, sizes, depth, context, plan, map);
  else
    lift<Half>(gpu, sizes, depth, context, plan, map);
}

}  // namespace pk::cuda
