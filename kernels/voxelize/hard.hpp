// What hard voxelisation takes and fills, the same on the CPU and on a GPU.
#pragma once

#include <cstdint>

namespace pk {

struct HardLimits {
  int32_t channels;
  int32_t max_points;
  int64_t max_voxels;
  int32_t batch;
};

struct HardVoxels {
  float* voxels;    // [rows, max_points, channels] or null
  float* means;     // [rows, channels] or null
  int32_t* coords;  // [rows, 4]
  int32_t* counts;  // [rows]
};

}  // namespace pk
