#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "common/call.hpp"
#include "hash/table.hpp"

namespace pk {
namespace {

// Far beyond any range of voxels, and still exact to convert.
constexpr float kMaxQuantized = 1e9F;
constexpr int64_t kSmallestShare = 8192;

struct Points {
  const char* data;
  int64_t count;
  int64_t stride;  // bytes
};

// Quantize one point; false where it is not finite or far out of range.
bool quantize_point(const Points& points, int64_t row, const float* voxel_size_m, int32_t* coords) {
  float xyz[3];
  std::memcpy(xyz, points.data + row * points.stride, sizeof(xyz));
  bool good = true;
  for (int axis = 0; axis < 3; ++axis) {
    const float scaled = xyz[axis] / voxel_size_m[axis];
    good &= std::fabs(scaled) <= kMaxQuantized;  // false for NaN too
    coords[axis] = static_cast<int32_t>(std::lrint(good ? scaled : 0.0F));
  }
  return good;
}

[[noreturn]] void throw_bad_point(const Points& points, int64_t row) {
  float xyz[3];
  std::memcpy(xyz, points.data + row * points.stride, sizeof(xyz));
  const bool finite = std::isfinite(xyz[0]) && std::isfinite(xyz[1]) && std::isfinite(xyz[2]);
  if (finite) throw Failure(PK_OUT_OF_RANGE, "point " + std::to_string(row) + " is too far away for this voxel size");
  throw Failure(PK_INVALID_ARGUMENT, "point " + std::to_string(row) + " is NaN or infinite; remove such points first");
}

void quantize(const Points& points, const float* voxel_size_m, int32_t* coords, int threads) {
  int64_t bad_row = points.count;
#pragma omp parallel for num_threads(threads) schedule(static) reduction(min : bad_row)
  for (int64_t row = 0; row < points.count; ++row)
    if (!quantize_point(points, row, voxel_size_m, coords + 3 * row)) bad_row = std::min(bad_row, row);
  if (bad_row < points.count) throw_bad_point(points, bad_row);
}

std::array<int32_t, 3> smallest(const int32_t* coords, int64_t n) {
  constexpr int32_t most = std::numeric_limits<int32_t>::max();
  std::array<int32_t, 3> minimum{most, most, most};
  for (int64_t row = 0; row < n; ++row)
    for (int axis = 0; axis < 3; ++axis) minimum[axis] = std::min(minimum[axis], coords[3 * row + axis]);
  return n > 0 ? minimum : std::array<int32_t, 3>{0, 0, 0};
}

void require_points(const void* points, int64_t n, int64_t stride, const float* voxel_size_m) {
  require_rows(n, "points");
  require_array(points, n, "points");
  require(stride >= static_cast<int64_t>(3 * sizeof(float)), "point_stride must be at least 12 bytes");
  require_array(voxel_size_m, 3, "voxel_size_m");
  for (int axis = 0; axis < 3; ++axis)
    require(std::isfinite(voxel_size_m[axis]) && voxel_size_m[axis] > 0, "the voxel size must be a positive number");
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
    inverse[row] = hash.find_or_insert(checked_key(voxel, 0), count);
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
    const int threads = pk::cpu_threads(where);
    pk::require_points(points, n, point_stride, voxel_size_m);
    pk::require_array(coords, n, "coords");
    pk::quantize({static_cast<const char*>(points), n, point_stride}, voxel_size_m, coords,
                 pk::useful_threads(threads, n, pk::kSmallestShare));
  });
}

pk_status pk_voxelize(const pk_execution* where, const void* points, int64_t n, int64_t point_stride,
                      const float voxel_size_m[3], int32_t from_minimum, int32_t batch, int32_t* coords, int32_t* first,
                      int32_t* inverse, int32_t minimum[3], int64_t* count) {
  return pk::guarded("voxelize", [&] {
    const int threads = pk::cpu_threads(where);
    pk::require_points(points, n, point_stride, voxel_size_m);
    pk::require_array(coords, n, "coords");
    pk::require_array(first, n, "first");
    pk::require_array(inverse, n, "inverse");
    pk::require_array(minimum, 3, "minimum");
    pk::require_array(count, 1, "count");
    std::vector<int32_t> xyz(static_cast<size_t>(3 * n));
    pk::quantize({static_cast<const char*>(points), n, point_stride}, voxel_size_m, xyz.data(),
                 pk::useful_threads(threads, n, pk::kSmallestShare));
    const auto lowest = pk::smallest(xyz.data(), n);
    std::copy(lowest.begin(), lowest.end(), minimum);
    const int32_t zero[3] = {0, 0, 0};
    *count = pk::keep_distinct(xyz, from_minimum != 0 ? minimum : zero, batch, coords, first, inverse);
  });
}
}
