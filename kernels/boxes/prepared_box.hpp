// A box made ready for comparing: sine and cosine once, and a circle around it. For CPU and CUDA code.
#pragma once

#include <math.h>

#include "boxes/geometry.hpp"

namespace pk::boxes {

constexpr int kBoxColumns = 7;

struct PreparedBox {
  Footprint<float> footprint;
  Extent<float> z;
  float radius;
};

// From a row x, y, z, length, width, height, yaw.
PK_GEOMETRY PreparedBox prepare(const float* row) {
  const float half_length = 0.5F * larger(row[3], 0.0F);
  const float half_width = 0.5F * larger(row[4], 0.0F);
  const float half_height = 0.5F * larger(row[5], 0.0F);
  // A little more than half the diagonal, so that rounding never hides an overlap.
  const float radius = 1.0001F * sqrtf(half_length * half_length + half_width * half_width);
  return {{row[0], row[1], half_length, half_width, cosf(row[6]), sinf(row[6])},
          {row[2] - half_height, row[2] + half_height},
          radius};
}

// Whether two circles reach each other; false where something is not a number.
PK_GEOMETRY bool within_reach(float dx, float dy, float reach) { return dx * dx + dy * dy <= reach * reach; }

PK_GEOMETRY bool may_overlap(const PreparedBox& first, const PreparedBox& second) {
  return within_reach(second.footprint.x - first.footprint.x, second.footprint.y - first.footprint.y,
                      first.radius + second.radius);
}

PK_GEOMETRY float iou(const PreparedBox& first, const PreparedBox& second, bool three_d) {
  if (!may_overlap(first, second)) return 0.0F;
  return three_d ? iou_3d(first.footprint, first.z, second.footprint, second.z)
                 : iou_bev(first.footprint, second.footprint);
}

}  // namespace pk::boxes
