// Sums of weighted rows, which several operations share; simd.cpp defines them for each instruction set.
#pragma once

#include <cstdint>
#include <type_traits>

#include "common/half.hpp"
#include "common/instruction_set.hpp"

namespace pk {

// output [channels] = scale * sum over i of weights[i] * features[rows[i]]; rows of -1 are skipped, no weights mean 1.
template <typename Stored>
struct WeightedRowsOf {
  const Stored* features;
  int64_t channels;
  const int32_t* rows;
  const float* weights;
  int64_t count;
  float scale;
};

using WeightedRows = WeightedRowsOf<float>;

struct RowLoops {
  void (*weighted_rows)(const WeightedRows&, float* output);
  void (*weighted_half_rows)(const WeightedRowsOf<Half>&, Half* output);
};

PK_TABLE_OF_EVERY_SET(RowLoops, row_loops)

// The loop for rows that are stored as float or Half.
template <typename Stored>
auto weighted_rows_of() {
  if constexpr (std::is_same_v<Stored, float>)
    return row_loops().weighted_rows;
  else
    return row_loops().weighted_half_rows;
}

}  // namespace pk
