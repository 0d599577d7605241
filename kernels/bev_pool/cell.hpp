// The cell that a point falls into, on the CPU and on a GPU alike.
#pragma once

#include <cstdint>

#include "common/half.hpp"
#include "perception_kernels.h"

namespace pk {

// Rounded twice, as PyTorch does it: no step may be contracted, or borders move.
PK_HOST_DEVICE inline int32_t cell_along(float point, float lower, float size, int32_t count) {
  const float cells = (point - lower) / size;
  return cells > -1.0F && cells < static_cast<float>(count) ? static_cast<int32_t>(cells) : -1;
}

PK_HOST_DEVICE inline int32_t bev_cell(const float* point, const pk_bev_grid& grid, int64_t sample) {
  const int64_t x = cell_along(point[0], grid.lower_m[0], grid.cell_size_m[0], grid.shape[0]);
  const int64_t y = cell_along(point[1], grid.lower_m[1], grid.cell_size_m[1], grid.shape[1]);
  const int64_t z = cell_along(point[2], grid.lower_m[2], grid.cell_size_m[2], grid.shape[2]);
  if (x < 0 || y < 0 || z < 0) return -1;
  return static_cast<int32_t>(((sample * grid.shape[2] + z) * grid.shape[0] + x) * grid.shape[1] + y);
}

}  // namespace pk
