// The inner loops of BEV pooling; simd.cpp defines them for each instruction set.
#pragma once

#include <cstdint>

#include "common/instruction_set.hpp"

namespace pk {

// Of the points order[0..count): the context row and the depth of each.
struct LiftEntries {
  const float* depth;
  const int32_t* order;
  int64_t count;
  int32_t depths;
  int32_t pixels;
  int32_t* rows;
  float* weights;
};

// One pixel: its points lie `pixels` apart in cells, depth and depth_gradient.
struct PixelGradient {
  const float* map_gradient;  // [cells, channels]
  const int32_t* cells;
  const float* depth;
  const float* context;  // [channels]
  int64_t channels;
  int64_t depths;
  int64_t pixels;
  float* depth_gradient;
  float* context_gradient;  // [channels]
};

struct BevLoops {
  void (*lift_entries)(const LiftEntries&);
  // to [columns, rows] (rows `to_stride` apart) = from [rows, columns] (rows `from_stride` apart) turned around.
  void (*transpose)(const float* from, int64_t rows, int64_t columns, int64_t from_stride, float* to,
                    int64_t to_stride);
  void (*pixel_gradient)(const PixelGradient&);
};

PK_TABLE_OF_EVERY_SET(BevLoops, bev_loops)

}  // namespace pk
