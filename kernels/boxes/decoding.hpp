// From the regression maps of a detection head to a box, for the CPU and a GPU alike.
#pragma once

#include <math.h>

#include "boxes/geometry.hpp"
#include "common/half.hpp"
#include "perception_kernels/boxes.h"

namespace pk::boxes {

constexpr int kDecodedColumns = 9;

// Channel `channel` of a cell, of one map of `channels` channels.
template <typename Stored>
PK_GEOMETRY float map_value(const void* map, int64_t batch, int channels, int channel, int64_t cells, int64_t cell) {
  return to_float(static_cast<const Stored*>(map)[(batch * channels + channel) * cells + cell]);
}

PK_GEOMETRY float wrapped_angle(float angle_rad) {
  constexpr float kTurn = 6.28318530717958648F;
  return angle_rad - kTurn * floorf(angle_rad / kTurn + 0.5F);
}

// The box of one cell: x, y, z, length, width, height, yaw, vx, vy.
template <typename Stored>
PK_GEOMETRY void decode_box(const pk_box_maps& maps, int64_t batch, int64_t cell, float* box) {
  const auto read = [&](const void* map, int channels, int channel) {
    return map_value<Stored>(map, batch, channels, channel, maps.cells, cell);
  };
  const bool relative = maps.grid_width > 0;
  const float column = relative ? static_cast<float>(cell % maps.grid_width) : 0.0F;
  const float row = relative ? static_cast<float>(cell / maps.grid_width) : 0.0F;
  box[0] = (column + read(maps.center, 2, 0)) * maps.cell_size_m[0] + maps.origin_m[0];
  box[1] = (row + read(maps.center, 2, 1)) * maps.cell_size_m[1] + maps.origin_m[1];
  box[3] = expf(read(maps.size, 3, maps.width_first != 0 ? 1 : 0));
  box[4] = expf(read(maps.size, 3, maps.width_first != 0 ? 0 : 1));
  box[5] = expf(read(maps.size, 3, 2));
  box[2] = read(maps.height, 1, 0) + maps.raise_by_heights * box[5];
  const float angle = atan2f(read(maps.rotation, 2, 0), read(maps.rotation, 2, 1));
  box[6] = wrapped_angle(maps.yaw_sign * angle + maps.yaw_offset_rad);
  box[7] = maps.velocity != nullptr ? read(maps.velocity, 2, 0) : NAN;
  box[8] = maps.velocity != nullptr ? read(maps.velocity, 2, 1) : NAN;
}

PK_GEOMETRY bool within_range(const float* box, const float* range_m) {
  for (int axis = 0; axis < 3; ++axis)
    if (!(box[axis] >= range_m[axis] && box[axis] <= range_m[axis + 3])) return false;
  return true;
}

PK_GEOMETRY float sigmoid_of(float logit) { return 1.0F / (1.0F + expf(-logit)); }

}  // namespace pk::boxes
