// Sums of weighted rows, which several operations share; simd.cpp defines them for each instruction set.
#pragma once

#include <cstdint>

#include "common/instruction_set.hpp"

namespace pk {

// output [channels] = scale * sum over i of weights[i] * features[rows[i]]; rows of -1 are skipped, no weights mean 1.
struct WeightedRows {
  const float* features;
  int64_t channels;
  const int32_t* rows;
  const float* weights;
  int64_t count;
  float scale;
};

struct RowLoops {
  void (*weighted_rows)(const WeightedRows&, float* output);
};

PK_TABLE_OF_EVERY_SET(RowLoops, row_loops)

}  // namespace pk
