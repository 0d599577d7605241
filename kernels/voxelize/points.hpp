// Points in memory and the cells they fall into, the same on the CPU and on a GPU.
#pragma once

#include <cmath>
#include <cstring>

#include "common/call.hpp"
#include "common/half.hpp"

namespace pk {

// Far beyond any range of voxels, and still exact to convert.
constexpr float kMaxQuantized = 1e9F;

struct Points {
  const char* data;
  int64_t count;
  int64_t stride;  // bytes; rows may be unaligned
};

struct Xyz {
  float value[3];
};

struct VoxelSize {
  float value_m[3];
};

// A box of equal cells.
struct Grid {
  float low_m[3];
  float voxel_size_m[3];
  int32_t cells[3];
};

// Channel `channel` of a point. A GPU reads floats only where they are aligned.
inline PK_HOST_DEVICE float value_of(const Points& points, int64_t row, int64_t channel) {
  const char* from = points.data + row * points.stride + static_cast<int64_t>(sizeof(float)) * channel;
#if defined(__CUDA_ARCH__)
  if (reinterpret_cast<uint64_t>(from) % sizeof(float) == 0) return *reinterpret_cast<const float*>(from);
#endif
  float value = 0.0F;
  memcpy(&value, from, sizeof(value));
  return value;
}

inline PK_HOST_DEVICE Xyz xyz_of(const Points& points, int64_t row) {
  return {{value_of(points, row, 0), value_of(points, row, 1), value_of(points, row, 2)}};
}

inline PK_HOST_DEVICE bool is_finite(const Xyz& xyz) {
  constexpr float largest = 3.402823466e38F;
  return fabsf(xyz.value[0]) <= largest && fabsf(xyz.value[1]) <= largest && fabsf(xyz.value[2]) <= largest;
}

// xyz / voxel size, rounded half to even; false where a point is not finite or far out of range.
inline PK_HOST_DEVICE bool quantize_point(const Points& points, int64_t row, const VoxelSize& size, int32_t* coords) {
  const Xyz xyz = xyz_of(points, row);
  bool good = true;
  for (int axis = 0; axis < 3; ++axis) {
    const float scaled = xyz.value[axis] / size.value_m[axis];
    good &= fabsf(scaled) <= kMaxQuantized;  // false for NaN too
    coords[axis] = static_cast<int32_t>(rintf(good ? scaled : 0.0F));
  }
  return good;
}

// The cell floor((xyz - low) / size); false where it lies outside the grid or is not a number.
inline PK_HOST_DEVICE bool cell_of(const Xyz& xyz, const Grid& grid, int32_t* cell) {
  bool inside = true;
  for (int axis = 0; axis < 3; ++axis) {
    const float lower = floorf((xyz.value[axis] - grid.low_m[axis]) / grid.voxel_size_m[axis]);
    const bool within = lower >= 0.0F && lower < static_cast<float>(grid.cells[axis]);
    cell[axis] = within ? static_cast<int32_t>(lower) : -1;
    inside &= within;
  }
  return inside;
}

// As cell_of, but a point outside gets the nearest cell on each axis; NaN gets cell 0.
inline PK_HOST_DEVICE void nearest_cell_of(const Xyz& xyz, const Grid& grid, int32_t* cell) {
  for (int axis = 0; axis < 3; ++axis) {
    const float lower = floorf((xyz.value[axis] - grid.low_m[axis]) / grid.voxel_size_m[axis]);
    cell[axis] = static_cast<int32_t>(fminf(fmaxf(lower, 0.0F), static_cast<float>(grid.cells[axis] - 1)));
  }
}

// Checks that several entry points share (points.cpp).
[[noreturn]] void throw_bad_point(const Xyz& xyz, int64_t row);
Points checked_points(const void* points, int64_t n, int64_t stride);
VoxelSize checked_voxel_size(const float* voxel_size_m);
Grid checked_grid(const pk_grid* grid);

}  // namespace pk
