// Which cell of a grid a point falls into, for CPU and CUDA code alike.
#pragma once

#include <cmath>

#include "common/half.hpp"  // PK_HOST_DEVICE
#include "perception_kernels/pillars.h"

namespace pk {

struct PillarGrid {
  pk_pillar_grid grid;
  int32_t n_batches;

  PK_HOST_DEVICE int64_t map_cells() const { return int64_t{grid.height} * grid.width; }
  PK_HOST_DEVICE int64_t cells() const { return n_batches * map_cells(); }

  // The cell along one axis; below 0 where the point lies outside and is not to be clamped.
  PK_HOST_DEVICE int32_t along(int axis, float metres, int32_t count) const {
    const float lower = floorf((metres - grid.minimum_m[axis]) / grid.size_m[axis]);
    const float last = static_cast<float>(count - 1);
    if (grid.clamp != 0) return static_cast<int32_t>(lower < 0.0F ? 0.0F : lower > last ? last : lower);
    return lower >= 0.0F && lower <= last ? static_cast<int32_t>(lower) : -1;
  }

  // The cell, counted over batch, y and x; -1 for a point that belongs to none.
  PK_HOST_DEVICE int32_t cell(const float* point, int32_t batch) const {
    const float zero = (point[0] - point[0]) + (point[1] - point[1]) + (point[2] - point[2]);
    if (zero != 0.0F || batch < 0 || batch >= n_batches) return -1;  // NaN and infinity give NaN
    const int32_t x = along(0, point[0], grid.width);
    const int32_t y = along(1, point[1], grid.height);
    if (x < 0 || y < 0 || along(2, point[2], 1) < 0) return -1;
    return static_cast<int32_t>(batch * map_cells() + int64_t{y} * grid.width + x);
  }

  PK_HOST_DEVICE void coords_of(int64_t cell, int32_t* coords) const {
    coords[0] = static_cast<int32_t>(cell / map_cells());
    coords[1] = static_cast<int32_t>(cell % map_cells() / grid.width);
    coords[2] = static_cast<int32_t>(cell % grid.width);
  }

  // The centre of a pillar, by its coords (batch, y, x).
  PK_HOST_DEVICE float centre_m(const int32_t* coords, int axis) const {
    const float index = axis == 0 ? static_cast<float>(coords[2]) : axis == 1 ? static_cast<float>(coords[1]) : 0.0F;
    return index * grid.size_m[axis] + grid.size_m[axis] / 2.0F + grid.minimum_m[axis];
  }
};

}  // namespace pk
