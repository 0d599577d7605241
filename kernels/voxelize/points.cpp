#include "voxelize/points.hpp"

#include <limits>

#include "hash/key.hpp"

namespace pk {

[[noreturn]] void throw_bad_point(const Xyz& xyz, int64_t row) {
  if (is_finite(xyz))
    throw Failure(PK_OUT_OF_RANGE, "point " + std::to_string(row) + " is too far away for this voxel size");
  throw Failure(PK_INVALID_ARGUMENT, "point " + std::to_string(row) + " is NaN or infinite; remove such points first");
}

Points checked_points(const void* points, int64_t n, int64_t stride) {
  require_rows(n, "points");
  require_array(points, n, "points");
  require(stride >= static_cast<int64_t>(sizeof(Xyz)), "point_stride must be at least 12 bytes");
  require(stride <= std::numeric_limits<int32_t>::max(), "point_stride must be below 2 GiB");
  return {static_cast<const char*>(points), n, stride};
}

VoxelSize checked_voxel_size(const float* voxel_size_m) {
  require_array(voxel_size_m, 3, "voxel_size_m");
  for (int axis = 0; axis < 3; ++axis)
    require(std::isfinite(voxel_size_m[axis]) && voxel_size_m[axis] > 0, "the voxel size must be a positive number");
  return {{voxel_size_m[0], voxel_size_m[1], voxel_size_m[2]}};
}

Grid checked_grid(const pk_grid* grid) {
  require(grid != nullptr, "the grid is null");
  const VoxelSize size = checked_voxel_size(grid->voxel_size_m);
  Grid checked{};
  for (int axis = 0; axis < 3; ++axis) {
    const float low = grid->low_m[axis];
    const float extent = grid->high_m[axis] - low;
    require(std::isfinite(low) && std::isfinite(extent) && extent > 0,
            "the upper ends of the grid must lie above the lower ones");
    const double cells = std::rint(static_cast<double>(extent) / size.value_m[axis]);
    require(cells >= 1 && cells <= kMaxCoordinate, "an axis of the grid must have 1 to 65503 cells");
    checked.low_m[axis] = low;
    checked.voxel_size_m[axis] = size.value_m[axis];
    checked.cells[axis] = static_cast<int32_t>(cells);
  }
  return checked;
}

}  // namespace pk
