// The 8 voxels around a point and their weights, the same on the CPU and on a GPU.
#pragma once

#include <cmath>

#include "common/half.hpp"
#include "hash/key.hpp"

namespace pk {

constexpr int kCorners = 8;

struct Cell {
  int32_t batch, x, y, z;
  PK_HOST_DEVICE bool operator==(const Cell& other) const {
    return batch == other.batch && x == other.x && y == other.y && z == other.z;
  }
};

// Split a point into its cell and where it lies in there; false where the cell is out of range or not a number.
inline PK_HOST_DEVICE bool locate(const float* point, float stride, Cell& cell, float fraction[3]) {
  int32_t base[3];
  for (int axis = 0; axis < 3; ++axis) {
    const float scaled = point[axis + 1] / stride;
    const float lower = floorf(scaled);
    if (!(lower >= static_cast<float>(kMinCoordinate) && lower <= static_cast<float>(kMaxCoordinate))) return false;
    base[axis] = static_cast<int32_t>(lower);
    fraction[axis] = scaled - lower;
  }
  if (!(point[0] >= 0.0F && point[0] <= static_cast<float>(kMaxBatch))) return false;
  cell = {static_cast<int32_t>(point[0]), base[0], base[1], base[2]};
  return true;
}

// The key of the voxel that a corner is: x slowest, z fastest.
inline PK_HOST_DEVICE uint64_t corner_step(int corner) { return key_step(corner >> 2, (corner >> 1) & 1, corner & 1); }

inline PK_HOST_DEVICE void weigh_corners(const float fraction[3], const int32_t* rows, float* weights) {
  constexpr float smallest_sum = 1e-8F;
  float sum = 0.0F;
  for (int corner = 0; corner < kCorners; ++corner) {
    const float x = (corner & 4) != 0 ? fraction[0] : 1.0F - fraction[0];
    const float y = (corner & 2) != 0 ? fraction[1] : 1.0F - fraction[1];
    const float z = (corner & 1) != 0 ? fraction[2] : 1.0F - fraction[2];
    weights[corner] = rows[corner] >= 0 ? x * y * z : 0.0F;
    sum += weights[corner];
  }
  for (int corner = 0; corner < kCorners; ++corner) weights[corner] /= sum + smallest_sum;
}

}  // namespace pk
