// The inner loops over boxes and heat maps; simd.cpp defines them for each instruction set.
#pragma once

#include <cstdint>

#include "boxes/prepared_box.hpp"
#include "common/instruction_set.hpp"

namespace pk::boxes {

constexpr int64_t kWidestVector = 16;

// Many boxes, a column a property; each is padded to a multiple of the widest vector with boxes that reach none.
struct BoxColumns {
  const float *x, *y, *half_length, *half_width, *cosine, *sine, *low, *high, *radius;
};

struct BoxLoops {
  // reached [count, padded] = whether a circle around (x, y) reaches each of many.
  void (*reach)(float x, float y, float radius, const BoxColumns& many, int64_t count, uint8_t* reached);
  // iou [count] of one box with many.
  void (*iou)(const PreparedBox& one, const BoxColumns& many, int64_t count, bool three_d, float* iou);
};

// What is no peak in a row of ranks.
constexpr float kNoPeak = -__builtin_huge_valf();

struct HeatmapLoops {
  // peaks [width] = the row's values that equal the largest around them, kNoPeak elsewhere. `padded` [width + 2] is
  // room to work in.
  void (*local_maxima)(const float* above, const float* row, const float* below, int64_t width, float* padded,
                       float* peaks);
  // peaks [width] become scores: their sigmoid (or they themselves) times clamp(quality, 0, 1) ^ power.
  void (*weigh)(const float* quality, int32_t power, bool sigmoid, int64_t width, float* peaks);
  // Which values exceed the limit: fills found, returns how many.
  int64_t (*above)(const float* values, float limit, int64_t count, int32_t* found);
};

}  // namespace pk::boxes

namespace pk {
PK_TABLE_OF_EVERY_SET(boxes::BoxLoops, box_loops)
PK_TABLE_OF_EVERY_SET(boxes::HeatmapLoops, heatmap_loops)
}  // namespace pk
