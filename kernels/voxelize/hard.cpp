#include "voxelize/hard.hpp"

#include <algorithm>
#include <vector>

#include "common/gpu.hpp"
#include "hash/table.hpp"
#include "voxelize/cuda.hpp"
#include "voxelize/points.hpp"

namespace pk {
namespace {

constexpr int64_t kSmallestShare = 8192;
constexpr double kMaxElements = 0x1p60;

void find_cells(const Points& points, const Grid& grid, bool clamp, int32_t* cells, int threads) {
  int64_t bad_row = points.count;
#pragma omp parallel for num_threads(threads) schedule(static) reduction(min : bad_row)
  for (int64_t row = 0; row < points.count; ++row) {
    const Xyz xyz = xyz_of(points, row);
    int32_t* cell = cells + 3 * row;
    if (!is_finite(xyz))
      bad_row = std::min(bad_row, row);
    else if (clamp)
      nearest_cell_of(xyz, grid, cell);
    else if (!cell_of(xyz, grid, cell))
      std::fill_n(cell, 3, -1);
  }
  if (bad_row < points.count) throw_bad_point(xyz_of(points, bad_row), bad_row);
}

// The rows of the points that each voxel keeps.
struct Kept {
  int64_t voxels = 0;
  std::vector<int32_t> voxel;  // of each point; -1 where it is dropped
  std::vector<int32_t> slot;   // its place in the voxel
};

// Walk through the points in their order: the first voxels and in each the first points are kept.
Kept choose(const std::vector<int32_t>& cells, const HardLimits& limits, const HardVoxels& output) {
  const auto n = static_cast<int64_t>(cells.size() / 3);
  Kept kept{0, std::vector<int32_t>(static_cast<size_t>(n), -1), std::vector<int32_t>(static_cast<size_t>(n))};
  OwnedHash owned(n);
  HashView hash = owned.view();
  for (int64_t row = 0; row < n; ++row) {
    const int32_t* cell = cells.data() + 3 * row;
    if (cell[0] < 0) continue;
    const uint64_t key = pack(limits.batch, cell[0], cell[1], cell[2]);
    const bool full = kept.voxels >= limits.max_voxels;
    const int32_t voxel = full ? hash.find(key) : hash.find_or_insert(key, static_cast<int32_t>(kept.voxels));
    if (voxel < 0) continue;
    if (voxel == kept.voxels) {
      const int32_t coords[4] = {limits.batch, cell[0], cell[1], cell[2]};
      std::copy_n(coords, 4, output.coords + 4 * kept.voxels);
      output.counts[kept.voxels++] = 0;
    }
    if (output.counts[voxel] == limits.max_points) continue;
    kept.voxel[static_cast<size_t>(row)] = voxel;
    kept.slot[static_cast<size_t>(row)] = output.counts[voxel]++;
  }
  return kept;
}

void fill_voxels(const Points& points, const HardLimits& limits, const Kept& kept, float* voxels) {
  const int64_t per_voxel = static_cast<int64_t>(limits.max_points) * limits.channels;
  std::fill_n(voxels, kept.voxels * per_voxel, 0.0F);
  for (int64_t row = 0; row < points.count; ++row) {
    const int64_t voxel = kept.voxel[static_cast<size_t>(row)];
    if (voxel < 0) continue;
    float* slot = voxels + voxel * per_voxel + kept.slot[static_cast<size_t>(row)] * limits.channels;
    std::memcpy(slot, points.data + row * points.stride, sizeof(float) * static_cast<size_t>(limits.channels));
  }
}

void fill_means(const Points& points, const HardLimits& limits, const Kept& kept, const int32_t* counts, float* means) {
  const int64_t channels = limits.channels;
  std::vector<float> point(static_cast<size_t>(channels));
  std::fill_n(means, kept.voxels * channels, 0.0F);
  for (int64_t row = 0; row < points.count; ++row) {
    const int64_t voxel = kept.voxel[static_cast<size_t>(row)];
    if (voxel < 0) continue;
    std::memcpy(point.data(), points.data + row * points.stride, sizeof(float) * point.size());
    for (int64_t channel = 0; channel < channels; ++channel)
      means[voxel * channels + channel] += point[static_cast<size_t>(channel)];
  }
  for (int64_t voxel = 0; voxel < kept.voxels; ++voxel)
    for (int64_t channel = 0; channel < channels; ++channel)
      means[voxel * channels + channel] /= static_cast<float>(counts[voxel]);
}

int64_t voxelize_hard(const Points& points, const HardLimits& limits, const Grid& grid, const HardVoxels& output,
                      int threads) {
  std::vector<int32_t> cells(static_cast<size_t>(3 * points.count));
  find_cells(points, grid, false, cells.data(), threads);
  const Kept kept = choose(cells, limits, output);
  if (output.voxels != nullptr) fill_voxels(points, limits, kept, output.voxels);
  if (output.means != nullptr) fill_means(points, limits, kept, output.counts, output.means);
  return kept.voxels;
}

HardLimits checked_limits(const Points& points, int32_t channels, int32_t max_points, int64_t max_voxels,
                          int32_t batch) {
  require(channels >= 3, "points need at least the channels x, y, z");
  require(points.stride >= static_cast<int64_t>(sizeof(float)) * channels,
          "point_stride must be at least 4 bytes for each channel");
  require(max_points >= 1, "the number of points that a voxel keeps must be at least 1");
  require(max_voxels >= 1, "the number of voxels that are kept must be at least 1");
  const auto rows = static_cast<double>(std::min(points.count, max_voxels));
  require(rows * max_points * channels < kMaxElements, "voxels times points times channels is too large");
  require(batch >= 0 && batch <= kMaxBatch, "the batch must lie in 0..4095");
  return {channels, max_points, max_voxels, batch};
}

}  // namespace
}  // namespace pk

extern "C" {

pk_status pk_grid_cells(const pk_execution* where, const void* points, int64_t n, int64_t point_stride,
                        const pk_grid* grid, int32_t clamp, int32_t* cells) {
  return pk::guarded("grid cells", [&] {
    const pk::Points rows = pk::checked_points(points, n, point_stride);
    const pk::Grid box = pk::checked_grid(grid);
    pk::require_array(cells, n, "cells");
    if (const pk::Gpu gpu = pk::gpu_of(where)) return PK_CUDA(pk::cuda::grid_cells(gpu, rows, box, clamp != 0, cells));
    pk::find_cells(rows, box, clamp != 0, cells, pk::useful_threads(pk::cpu_threads(where), n, pk::kSmallestShare));
  });
}

pk_status pk_voxelize_hard(const pk_execution* where, const void* points, int64_t n, int64_t point_stride,
                           int32_t channels, const pk_grid* grid, int32_t max_points, int64_t max_voxels, int32_t batch,
                           float* voxels, float* means, int32_t* coords, int32_t* counts, int64_t* count) {
  return pk::guarded("hard voxelize", [&] {
    const pk::Points rows = pk::checked_points(points, n, point_stride);
    const pk::Grid box = pk::checked_grid(grid);
    const pk::HardLimits limits = pk::checked_limits(rows, channels, max_points, max_voxels, batch);
    pk::require_array(coords, n, "coords");
    pk::require_array(counts, n, "counts");
    pk::require_array(count, 1, "count");
    const pk::HardVoxels output{voxels, means, coords, counts};
    if (const pk::Gpu gpu = pk::gpu_of(where)) {
      PK_CUDA(*count = pk::cuda::voxelize_hard(gpu, rows, limits, box, output));
      return;
    }
    *count =
        pk::voxelize_hard(rows, limits, box, output, pk::useful_threads(pk::cpu_threads(where), n, pk::kSmallestShare));
  });
}
}
