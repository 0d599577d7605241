// Where a LiDAR point falls in a camera's image, on the CPU and on a GPU alike.
#pragma once

#include <cstdint>

#include "common/half.hpp"

namespace pk {

struct DepthPixel {
  int64_t index = -1;  // row * width + column, -1 outside the image
  float depth_m = 0.0F;
};

// In double precision, so that how a compiler groups the sums moves no pixel.
struct ProjectedVector {
  double x, y, z;
};

PK_HOST_DEVICE inline ProjectedVector transform(const float* matrix, const ProjectedVector& v) {
  return {matrix[0] * v.x + matrix[1] * v.y + matrix[2] * v.z + matrix[3],
          matrix[4] * v.x + matrix[5] * v.y + matrix[6] * v.z + matrix[7],
          matrix[8] * v.x + matrix[9] * v.y + matrix[10] * v.z + matrix[11]};
}

// image_from_lidar, augmentation: row-major 4 x 4; augmentation may be null.
PK_HOST_DEVICE inline DepthPixel depth_pixel(const float* point, const float* image_from_lidar,
                                             const float* augmentation, int32_t height, int32_t width) {
  constexpr double kNearest = 1e-5;
  constexpr double kFarthest = 1e5;
  ProjectedVector p = transform(image_from_lidar, {point[0], point[1], point[2]});
  const double depth = p.z < kNearest ? kNearest : p.z > kFarthest ? kFarthest : p.z;
  p = {p.x / depth, p.y / depth, depth};
  if (augmentation != nullptr) p = transform(augmentation, p);
  const bool inside = p.y >= 0 && p.y < height && p.x >= 0 && p.x < width;
  if (!inside) return {};
  return {static_cast<int64_t>(p.y) * width + static_cast<int64_t>(p.x), static_cast<float>(depth)};
}

}  // namespace pk
