// The product of rows with a panel of weights: a block of rows keeps its sums in registers and shares every load of the
// weights.
#pragma once

#include "common/vectors.hpp"
#include "feed_forward/inner_loops.hpp"

namespace pk::PK_SET {

template <int kFloats, int kVectors, int kRows>
inline void dense_block(const DensePanel& call, int64_t row) {
  const float* input = call.input + row * call.input_step;
  const float* weight = call.weight;
  Vector<kFloats> sums[kRows][kVectors] = {};
  for (int64_t c = 0; c < call.c_in; ++c, weight += kFloats * kVectors) {
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v)
        sums[r][v] += input[r * call.input_step + c] * load<kFloats>(weight + v * kFloats);
  }
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) store<kFloats>(call.sums + (row + r) * call.sums_step + v * kFloats, sums[r][v]);
}

// The rows that do not fill a block: as one smaller block.
template <int kFloats, int kVectors, int kRows>
inline void dense_rest(const DensePanel& call, int64_t row) {
  if constexpr (kRows > 0) {
    if (call.rows - row == kRows)
      dense_block<kFloats, kVectors, kRows>(call, row);
    else
      dense_rest<kFloats, kVectors, kRows - 1>(call, row);
  }
}

template <int kFloats, int kVectors, int kRows>
void dense_product(const DensePanel& call) {
  int64_t row = 0;
  for (; row + kRows <= call.rows; row += kRows) dense_block<kFloats, kVectors, kRows>(call, row);
  dense_rest<kFloats, kVectors, kRows - 1>(call, row);
}

}  // namespace pk::PK_SET
