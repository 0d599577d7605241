// Every frame: the sum of each cell's points, tile by tile of cells, each tile by one thread and always in one order.
#include <omp.h>

#include <algorithm>
#include <vector>

#include "bev_pool/checks.hpp"
#include "bev_pool/cuda.hpp"
#include "bev_pool/inner_loops.hpp"
#include "common/half.hpp"
#include "common/row_loops.hpp"

namespace pk {
namespace {

constexpr int64_t kTile =
    64;  // cells: their sums stay in the first cache, and their columns of the map are whole lines

struct MapTiles {
  const int32_t* begins;
  int32_t planes;
  int64_t plane_cells;
  int64_t channels;

  int64_t per_plane() const { return (plane_cells + kTile - 1) / kTile; }
  int64_t count() const { return planes * per_plane(); }
  int64_t entries() const { return begins[planes * plane_cells]; }
};

struct Tile {
  int64_t plane, first, cells;  // the first cell within its plane
  const int32_t* begins;        // [cells + 1]

  Tile(const MapTiles& map, int64_t index)
      : plane(index / map.per_plane()),
        first(index % map.per_plane() * kTile),
        cells(std::min(kTile, map.plane_cells - first)),
        begins(map.begins + plane * map.plane_cells + first) {}
  int64_t entries() const { return begins[cells] - begins[0]; }
};

int64_t largest_tile(const MapTiles& map) {
  int64_t largest = 0;
  for (int64_t index = 0; index < map.count(); ++index) largest = std::max(largest, Tile(map, index).entries());
  return largest;
}

template <typename T>
void write_tile(const MapTiles& map, const Tile& tile, const float* sums, T* output) {
  T* to = output + tile.plane * map.channels * map.plane_cells + tile.first;
  if constexpr (std::is_same_v<T, float>) {
    bev_loops().transpose(sums, tile.cells, map.channels, map.channels, to, map.plane_cells);
  } else {
    for (int64_t c = 0; c < map.channels; ++c)
      for (int64_t cell = 0; cell < tile.cells; ++cell)
        to[c * map.plane_cells + cell] = from_float<T>(sums[cell * map.channels + c]);
  }
}

// sum_tile(tile, thread, sums [cells, channels]) fills the sums of a tile that has entries.
template <typename T, typename SumTile>
void pool_tiles(const MapTiles& map, int threads, const SumTile& sum_tile, T* output) {
  const int64_t tile_floats = kTile * map.channels;
  std::vector<float> sums(static_cast<size_t>(threads * tile_floats));
#pragma omp parallel for num_threads(threads) schedule(dynamic, 4)
  for (int64_t index = 0; index < map.count(); ++index) {
    const Tile tile(map, index);
    float* own = sums.data() + omp_get_thread_num() * tile_floats;
    if (tile.entries() > 0)
      sum_tile(tile, omp_get_thread_num(), own);
    else
      std::fill_n(own, tile_floats, 0.0F);
    write_tile(map, tile, own, output);
  }
}

void pool_float(const float* features, const int32_t* order, const MapTiles& map, int threads, float* output) {
  const auto sum_rows = row_loops().weighted_rows;
  pool_tiles(
      map, threads,
      [&](const Tile& tile, int, float* sums) {
        for (int64_t cell = 0; cell < tile.cells; ++cell) {
          const int64_t begin = tile.begins[cell];
          sum_rows({features, map.channels, order + begin, nullptr, tile.begins[cell + 1] - begin, 1.0F},
                   sums + cell * map.channels);
        }
      },
      output);
}

void pool_half(const Half* features, const int32_t* order, const MapTiles& map, int threads, Half* output) {
  pool_tiles(
      map, threads,
      [&](const Tile& tile, int, float* sums) {
        std::fill_n(sums, tile.cells * map.channels, 0.0F);
        for (int64_t cell = 0; cell < tile.cells; ++cell)
          for (int64_t entry = tile.begins[cell]; entry < tile.begins[cell + 1]; ++entry)
            for (int64_t c = 0; c < map.channels; ++c)
              sums[cell * map.channels + c] += to_float(features[order[entry] * map.channels + c]);
      },
      output);
}

// context [cameras * pixels, channels] and depth as float32.
template <typename T>
void lift_tiles(const pk_lift& lift, const float* depth, const float* context, const int32_t* order,
                const MapTiles& map, int threads, T* output) {
  const int64_t largest = largest_tile(map);
  std::vector<int32_t> rows(static_cast<size_t>(threads * largest));
  std::vector<float> weights(rows.size());
  const auto sum_rows = row_loops().weighted_rows;
  pool_tiles(
      map, threads,
      [&](const Tile& tile, int thread, float* sums) {
        int32_t* own_rows = rows.data() + thread * largest;
        float* own_weights = weights.data() + thread * largest;
        bev_loops().lift_entries(
            {depth, order + tile.begins[0], tile.entries(), lift.depths, lift.pixels, own_rows, own_weights});
        for (int64_t cell = 0; cell < tile.cells; ++cell) {
          const int64_t begin = tile.begins[cell] - tile.begins[0];
          const int64_t count = tile.begins[cell + 1] - tile.begins[cell];
          sum_rows({context, map.channels, own_rows + begin, own_weights + begin, count, 1.0F},
                   sums + cell * map.channels);
        }
      },
      output);
}

std::vector<float> as_floats(const Half* values, int64_t count) {
  std::vector<float> floats(static_cast<size_t>(count));
  std::transform(values, values + count, floats.begin(), [](Half value) { return to_float(value); });
  return floats;
}

std::vector<float> channels_last(const pk_lift& lift, const float* context, int threads) {
  const int64_t size = int64_t{lift.pixels} * lift.channels;
  std::vector<float> turned(static_cast<size_t>(lift.cameras * size));
#pragma omp parallel for num_threads(threads) schedule(static)
  for (int32_t camera = 0; camera < lift.cameras; ++camera)
    bev_loops().transpose(context + camera * size, lift.channels, lift.pixels, lift.pixels,
                          turned.data() + camera * size, lift.channels);
  return turned;
}

template <typename T>
void lift_floats(const pk_lift& lift, const float* depth, const float* context, const int32_t* order,
                 const int32_t* begins, int threads, T* output) {
  const MapTiles map{begins, lift.planes, lift.plane_cells, lift.channels};
  std::vector<float> turned;
  if (lift.channels_last == 0) turned = channels_last(lift, context, threads);
  lift_tiles(lift, depth, turned.empty() ? context : turned.data(), order, map, threads, output);
}

void lift_pool(const pk_lift& lift, const void* depth, const void* context, const int32_t* order, const int32_t* begins,
               int threads, void* output) {
  if (lift.dtype == PK_FLOAT32)
    return lift_floats(lift, static_cast<const float*>(depth), static_cast<const float*>(context), order, begins,
                       threads, static_cast<float*>(output));
  const int64_t pixels = int64_t{lift.cameras} * lift.pixels;
  const std::vector<float> depths = as_floats(static_cast<const Half*>(depth), pixels * lift.depths);
  const std::vector<float> contexts = as_floats(static_cast<const Half*>(context), pixels * lift.channels);
  lift_floats(lift, depths.data(), contexts.data(), order, begins, threads, static_cast<Half*>(output));
}

int pool_threads(const pk_execution* where, const MapTiles& map) {
  const int64_t work = (map.entries() + map.planes * map.plane_cells) * map.channels;
  return useful_threads(cpu_threads(where), work, kSmallestShareOfSums);
}

}  // namespace
}  // namespace pk

extern "C" {

pk_status pk_bev_pool(const pk_execution* where, const void* features, int64_t n, int32_t channels, int32_t dtype,
                      const int32_t* order, const int32_t* begins, int32_t planes, int64_t plane_cells, void* map) {
  return pk::guarded("BEV pooling", [&] {
    const int64_t n_cells = pk::require_map(planes, plane_cells, channels);
    pk::require_dtype(dtype);
    pk::require_rows(n, "points");
    pk::require_array(features, n, "features");
    pk::require_array(order, n, "order");
    pk::require_array(begins, n_cells + 1, "begins");
    pk::require_array(map, n_cells, "map");
    if (const pk::Gpu gpu = pk::gpu_of(where))
      return PK_CUDA(pk::cuda::bev_pool(gpu, features, n, channels, dtype, order, begins, planes, plane_cells, map));
    pk::require_order(order, begins, n, n_cells);
    const pk::MapTiles tiles{begins, planes, plane_cells, channels};
    const int threads = pk::pool_threads(where, tiles);
    if (dtype == PK_FLOAT32)
      pk::pool_float(static_cast<const float*>(features), order, tiles, threads, static_cast<float*>(map));
    else
      pk::pool_half(static_cast<const pk::Half*>(features), order, tiles, threads, static_cast<pk::Half*>(map));
  });
}

pk_status pk_lift_pool(const pk_execution* where, const pk_lift* sizes, const void* depth, const void* context,
                       const int32_t* order, const int32_t* begins, void* map) {
  return pk::guarded("lift and pool", [&] {
    const int64_t n = pk::require_lift(sizes);
    const int64_t n_cells = sizes->planes * sizes->plane_cells;
    pk::require_array(depth, n, "depth");
    pk::require_array(context, int64_t{sizes->cameras} * sizes->pixels, "context");
    pk::require_array(order, n, "order");
    pk::require_array(begins, n_cells + 1, "begins");
    pk::require_array(map, n_cells, "map");
    if (const pk::Gpu gpu = pk::gpu_of(where))
      return PK_CUDA(pk::cuda::lift_pool(gpu, *sizes, depth, context, order, begins, map));
    pk::require_order(order, begins, n, n_cells);
    const pk::MapTiles tiles{begins, sizes->planes, sizes->plane_cells, sizes->channels};
    pk::lift_pool(*sizes, depth, context, order, begins, pk::pool_threads(where, tiles), map);
  });
}
}
