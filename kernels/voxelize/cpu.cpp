#include <algorithm>
#include <array>
#include <limits>
#include <vector>

#include "common/gpu.hpp"
#include "hash/table.hpp"
#include "voxelize/cuda.hpp"
#include "voxelize/points.hpp"

namespace pk {
namespace {

constexpr int64_t kSmallestShare = 8192;

void quantize(const Points& points, const VoxelSize& size, int32_t* coords, int threads) {
  int64_t bad_row = points.count;
#pragma omp parallel for num_threads(threads) schedule(static) reduction(min : bad_row)
  for (int64_t row = 0; row < points.count; ++row)
    if (!quantize_point(points, row, size, coords + 3 * row)) bad_row = std::min(bad_row, row);
  if (bad_row < points.count) throw_bad_point(xyz_of(points, bad_row), bad_row);
}

std::array<int32_t, 3> smallest(const int32_t* coords, int64_t n) {
  constexpr int32_t most = std::numeric_limits<int32_t>::max();
  std::array<int32_t, 3> minimum{most, most, most};
  for (int64_t row = 0; row < n; ++row)
    for (int axis = 0; axis < 3; ++axis) minimum[axis] = std::min(minimum[axis], coords[3 * row + axis]);
  return n > 0 ? minimum : std::array<int32_t, 3>{0, 0, 0};
}

int64_t keep_distinct(const std::vector<int32_t>& xyz, const int32_t* origin, int32_t batch, int32_t* coords,
                      int32_t* first, int32_t* inverse) {
  const auto n = static_cast<int64_t>(xyz.size() / 3);
  OwnedHash owned(n);
  HashView hash = owned.view();
  int32_t count = 0;
  for (int64_t row = 0; row < n; ++row) {
    int32_t* voxel = coords + 4 * static_cast<int64_t>(count);
    voxel[0] = batch;
    for (int axis = 0; axis < 3; ++axis) voxel[axis + 1] = xyz[3 * row + axis] - origin[axis];
    if (!in_range(voxel[0], voxel[1], voxel[2], voxel[3])) throw_out_of_range(voxel, row);
    inverse[row] = hash.find_or_insert(pack(voxel[0], voxel[1], voxel[2], voxel[3]), count);
    if (inverse[row] == count) first[count++] = static_cast<int32_t>(row);
  }
  return count;
}

}  // namespace
}  // namespace pk

extern "C" {

pk_status pk_quantize(const pk_execution* where, const void* points, int64_t n, int64_t point_stride,
                      const float voxel_size_m[3], int32_t* coords) {
  return pk::guarded("quantize", [&] {
    const pk::Points rows = pk::checked_points(points, n, point_stride);
    const pk::VoxelSize size = pk::checked_voxel_size(voxel_size_m);
    pk::require_array(coords, n, "coords");
    if (const pk::Gpu gpu = pk::gpu_of(where)) return PK_CUDA(pk::cuda::quantize(gpu, rows, size, coords));
    pk::quantize(rows, size, coords, pk::useful_threads(pk::cpu_threads(where), n, pk::kSmallestShare));
  });
}

pk_status pk_voxelize(const pk_execution* where, const void* points, int64_t n, int64_t point_stride,
                      const float voxel_size_m[3], int32_t from_minimum, int32_t batch, int32_t* coords, int32_t* first,
                      int32_t* inverse, int32_t minimum[3], int64_t* count) {
  return pk::guarded("voxelize", [&] {
    const pk::Points rows = pk::checked_points(points, n, point_stride);
    const pk::VoxelSize size = pk::checked_voxel_size(voxel_size_m);
    pk::require_array(coords, n, "coords");
    pk::require_array(first, n, "first");
    pk::require_array(inverse, n, "inverse");
    pk::require_array(minimum, 3, "minimum");
    pk::require_array(count, 1, "count");
    if (const pk::Gpu gpu = pk::gpu_of(where)) {
      PK_CUDA(*count = pk::cuda::voxelize(gpu, rows, size, from_minimum != 0, batch, coords, first, inverse, minimum));
      return;
    }
    std::vector<int32_t> xyz(static_cast<size_t>(3 * n));
    pk::quantize(rows, size, xyz.data(), pk::useful_threads(pk::cpu_threads(where), n, pk::kSmallestShare));
    const auto lowest = pk::smallest(xyz.data(), n);
    std::copy(lowest.begin(), lowest.end(), minimum);
    const int32_t zero[3] = {0, 0, 0};
    *count = pk::keep_distinct(xyz, from_minimum != 0 ? minimum : zero, batch, coords, first, inverse);
  });
}
}
