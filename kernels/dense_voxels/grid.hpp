// Where a point lies in a dense grid, the same on the CPU and on a GPU.
#pragma once

#include <cmath>
#include <cstdint>

#include "common/half.hpp"

namespace pk {

constexpr int kGridCorners = 8;

struct DenseSizes {
  int64_t batches;
  int64_t channels;
  int64_t n;  // points of each batch
  int32_t resolution;
  PK_HOST_DEVICE int64_t cells() const { return static_cast<int64_t>(resolution) * resolution * resolution; }
};

// How the points of a cloud are brought into its grid.
struct Fit {
  float mean[3];
  float extent;  // twice the largest norm, plus eps; 0: without normalisation
  PK_HOST_DEVICE float coordinate(float centred, int32_t resolution) const {
    const float unit = extent > 0.0F ? centred / extent + 0.5F : (centred + 1.0F) / 2.0F;
    return fminf(fmaxf(unit * static_cast<float>(resolution), 0.0F), static_cast<float>(resolution - 1));
  }
};

// A norm of 0 with an eps of 0 would divide by 0; any extent puts such a cloud in the middle.
inline PK_HOST_DEVICE float extent_of(float largest_norm, float eps) {
  const float extent = largest_norm * 2.0F + eps;
  return extent > 0.0F ? extent : 1.0F;
}

// The coordinates of one point: x, y, z lie n elements apart.
struct GridPoint {
  float value[3];
};

inline PK_HOST_DEVICE GridPoint grid_point(const float* coordinates, const DenseSizes& sizes, int64_t batch,
                                           int64_t point) {
  const float* x = coordinates + 3 * batch * sizes.n + point;
  return {{x[0], x[sizes.n], x[2 * sizes.n]}};
}

inline PK_HOST_DEVICE bool in_grid(const GridPoint& point, int32_t resolution) {
  const auto last = static_cast<float>(resolution - 1);
  bool inside = true;
  for (int axis = 0; axis < 3; ++axis) inside &= point.value[axis] >= 0.0F && point.value[axis] <= last;
  return inside;
}

// The cell that a point in the grid rounds to, half to even.
inline PK_HOST_DEVICE int32_t nearest_cell(const GridPoint& point, int32_t resolution) {
  int32_t cell = 0;
  for (int axis = 0; axis < 3; ++axis) cell = cell * resolution + static_cast<int32_t>(rintf(point.value[axis]));
  return cell;
}

// The 8 cells around a point in the grid, x slowest and z fastest, and their weights.
inline PK_HOST_DEVICE void surround(const GridPoint& point, int32_t resolution, int32_t* cells, float* weights) {
  int32_t base = 0;
  int32_t step[3];
  float fraction[3];
  for (int axis = 0; axis < 3; ++axis) {
    const float lower = floorf(point.value[axis]);
    fraction[axis] = point.value[axis] - lower;
    base = base * resolution + static_cast<int32_t>(lower);
    step[axis] = fraction[axis] > 0.0F ? 1 : 0;  // on the last cell of an axis there is none above
  }
  step[0] *= resolution * resolution;
  step[1] *= resolution;
  for (int corner = 0; corner < kGridCorners; ++corner) {
    const bool high[3] = {(corner & 4) != 0, (corner & 2) != 0, (corner & 1) != 0};
    cells[corner] = base;
    weights[corner] = 1.0F;
    for (int axis = 0; axis < 3; ++axis) {
      cells[corner] += high[axis] ? step[axis] : 0;
      weights[corner] *= high[axis] ? fraction[axis] : 1.0F - fraction[axis];
    }
  }
}

}  // namespace pk
