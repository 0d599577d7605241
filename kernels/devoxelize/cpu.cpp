#include <algorithm>
#include <atomic>
#include <cmath>
#include <vector>

#include "common/call.hpp"
#include "common/grouping.hpp"
#include "common/row_loops.hpp"
#include "hash/table.hpp"

namespace pk {
namespace {

constexpr int kCorners = 8;
constexpr int64_t kSmallestShare = 2048;
constexpr float kSmallestSum = 1e-8F;

struct Cell {
  int32_t batch, x, y, z;
  bool operator==(const Cell& other) const {
    return batch == other.batch && x == other.x && y == other.y && z == other.z;
  }
};

void find_corners(const HashView& hash, const Cell& cell, int32_t* rows) {
  const uint64_t key = pack(cell.batch, cell.x, cell.y, cell.z);
  for (int corner = 0; corner < kCorners; ++corner)
    rows[corner] = hash.find(key + key_step(corner >> 2, (corner >> 1) & 1, corner & 1));
}

void weigh_corners(const float fraction[3], const int32_t* rows, float* weights) {
  float sum = 0.0F;
  for (int corner = 0; corner < kCorners; ++corner) {
    const float x = (corner & 4) != 0 ? fraction[0] : 1.0F - fraction[0];
    const float y = (corner & 2) != 0 ? fraction[1] : 1.0F - fraction[1];
    const float z = (corner & 1) != 0 ? fraction[2] : 1.0F - fraction[2];
    weights[corner] = rows[corner] >= 0 ? x * y * z : 0.0F;
    sum += weights[corner];
  }
  for (int corner = 0; corner < kCorners; ++corner) weights[corner] /= sum + kSmallestSum;
}

// Split a point into its cell and where it lies in there; false where the cell is out of range or not a number.
bool locate(const float* point, float stride, Cell& cell, float fraction[3]) {
  int32_t base[3];
  for (int axis = 0; axis < 3; ++axis) {
    const float scaled = point[axis + 1] / stride;
    const float lower = std::floor(scaled);
    if (!(lower >= kMinCoordinate && lower <= kMaxCoordinate)) return false;
    base[axis] = static_cast<int32_t>(lower);
    fraction[axis] = scaled - lower;
  }
  if (!(point[0] >= 0 && point[0] <= kMaxBatch)) return false;
  cell = {static_cast<int32_t>(point[0]), base[0], base[1], base[2]};
  return true;
}

void fill_trilinear(const float* points, int64_t n, int32_t stride, const HashView& hash, int32_t* indices,
                    float* weights, int threads) {
  int64_t bad_row = n;
#pragma omp parallel num_threads(threads) reduction(min : bad_row)
  {
    Cell last{-1, 0, 0, 0};
    const int32_t* last_rows = nullptr;
#pragma omp for schedule(static)
    for (int64_t i = 0; i < n; ++i) {
      Cell cell{};
      float fraction[3];
      if (!locate(points + 4 * i, static_cast<float>(stride), cell, fraction)) {
        bad_row = std::min(bad_row, i);
        continue;
      }
      int32_t* rows = indices + kCorners * i;
      // A scanner's next point often lies in the same cell.
      if (cell == last)
        std::copy_n(last_rows, kCorners, rows);
      else
        find_corners(hash, cell, rows);
      last = cell;
      last_rows = rows;
      weigh_corners(fraction, rows, weights + kCorners * i);
    }
  }
  if (bad_row < n)
    throw Failure(PK_OUT_OF_RANGE,
                  "point " + std::to_string(bad_row) + " is not finite or lies outside the range of voxels");
}

void require_indices(const int32_t* indices, int64_t count, int64_t n_voxels) {
  int32_t lowest = -1;
  int32_t highest = -1;
  for (int64_t i = 0; i < count; ++i) {
    lowest = std::min(lowest, indices[i]);
    highest = std::max(highest, indices[i]);
  }
  require(lowest >= -1 && highest < n_voxels, "an index names a voxel that does not exist");
}

void interpolate(const float* features, int64_t channels, const int32_t* indices, const float* weights, int64_t n,
                 float* output, int threads) {
  const auto kernel = row_loops().weighted_rows;
#pragma omp parallel for num_threads(threads) schedule(static)
  for (int64_t i = 0; i < n; ++i)
    kernel({features, channels, indices + kCorners * i, weights + kCorners * i, kCorners, 1.0F}, output + i * channels);
}

void spread(const float* output_gradient, int64_t n, int64_t channels, const int32_t* indices, const float* weights,
            int64_t n_voxels, float* features_gradient, int threads) {
  Groups groups = group_entries(indices, kCorners * n, n_voxels);
  std::vector<float> ordered(groups.members.size());
  for (size_t entry = 0; entry < ordered.size(); ++entry) {
    ordered[entry] = weights[groups.members[entry]];
    groups.members[entry] /= kCorners;  // from here on the point
  }
  const auto kernel = row_loops().weighted_rows;
#pragma omp parallel for num_threads(threads) schedule(dynamic, 64)
  for (int64_t voxel = 0; voxel < n_voxels; ++voxel) {
    const int64_t begin = groups.begins[static_cast<size_t>(voxel)];
    const int64_t count = groups.begins[static_cast<size_t>(voxel) + 1] - begin;
    kernel({output_gradient, channels, groups.members.data() + begin, ordered.data() + begin, count, 1.0F},
           features_gradient + voxel * channels);
  }
}

void require_sizes(int64_t n, int64_t n_voxels, int32_t channels) {
  require_rows(kCorners * n, "points times 8");
  require_rows(n_voxels, "voxels");
  require(channels >= 1, "the number of channels must be at least 1");
}

}  // namespace
}  // namespace pk

extern "C" {

pk_status pk_trilinear_table(const pk_execution* where, const float* points, int64_t n, int32_t stride,
                             const pk_hash* hash, int32_t* indices, float* weights) {
  return pk::guarded("trilinear table", [&] {
    const int threads = pk::cpu_threads(where);
    pk::require_sizes(n, 0, 1);
    pk::require(stride >= 1, "the stride must be at least 1");
    pk::require_hash(hash);
    pk::require_array(points, n, "points");
    pk::require_array(indices, n, "indices");
    pk::require_array(weights, n, "weights");
    pk::fill_trilinear(points, n, stride, pk::HashView(*hash), indices, weights,
                       pk::useful_threads(threads, n, pk::kSmallestShare));
  });
}

pk_status pk_devoxelize(const pk_execution* where, const float* features, int64_t n_voxels, int32_t channels,
                        const int32_t* indices, const float* weights, int64_t n, float* output) {
  return pk::guarded("devoxelize", [&] {
    const int threads = pk::cpu_threads(where);
    pk::require_sizes(n, n_voxels, channels);
    pk::require_array(features, n_voxels, "features");
    pk::require_array(indices, n, "indices");
    pk::require_array(weights, n, "weights");
    pk::require_array(output, n, "output");
    pk::require_indices(indices, pk::kCorners * n, n_voxels);
    pk::interpolate(features, channels, indices, weights, n, output,
                    pk::useful_threads(threads, n, pk::kSmallestShare));
  });
}

pk_status pk_devoxelize_gradient(const pk_execution* where, const float* output_gradient, int64_t n, int32_t channels,
                                 const int32_t* indices, const float* weights, int64_t n_voxels,
                                 float* features_gradient) {
  return pk::guarded("devoxelize gradient", [&] {
    const int threads = pk::cpu_threads(where);
    pk::require_sizes(n, n_voxels, channels);
    pk::require_array(output_gradient, n, "output_gradient");
    pk::require_array(indices, n, "indices");
    pk::require_array(weights, n, "weights");
    pk::require_array(features_gradient, n_voxels, "features_gradient");
    pk::spread(output_gradient, n, channels, indices, weights, n_voxels, features_gradient,
               pk::useful_threads(threads, n, pk::kSmallestShare));
  });
}
}
