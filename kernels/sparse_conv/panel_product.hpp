// The two inner products of sparse convolution. Forward, a block of rows keeps its sums in registers, reads its
// features in place (float32 is never gathered into a buffer), and shares every load of the weights.
#pragma once

#include "common/vectors.hpp"

namespace pk::PK_SET {

template <int kFloats, int kVectors, int kRows>
inline void product_block(const PanelProduct& call, int64_t at) {
  constexpr int kWidth = kFloats * kVectors;
  const float* features[kRows];
  Vector<kFloats> sums[kRows][kVectors];
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
    features[r] = call.features + call.input_rows[at + r] * call.c_in;
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v)
      sums[r][v] = load<kFloats>(call.sums + int64_t{call.output_rows[at + r]} * kWidth + v * kFloats);
  }
  const float* weight = call.weight;
  for (int64_t c = 0; c < call.c_in; ++c, weight += kWidth) {
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) sums[r][v] += features[r][c] * load<kFloats>(weight + v * kFloats);
  }
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v)
      store<kFloats>(call.sums + int64_t{call.output_rows[at + r]} * kWidth + v * kFloats, sums[r][v]);
}

// The rows that do not fill a block: as one smaller block.
template <int kFloats, int kVectors, int kRows>
inline void product_rest(const PanelProduct& call, int64_t at) {
  if constexpr (kRows > 0) {
    if (call.count - at == kRows)
      product_block<kFloats, kVectors, kRows>(call, at);
    else
      product_rest<kFloats, kVectors, kRows - 1>(call, at);
  }
}

template <int kFloats, int kVectors, int kRows>
void product(const PanelProduct& call) {
  int64_t at = 0;
  for (; at + kRows <= call.count; at += kRows) product_block<kFloats, kVectors, kRows>(call, at);
  product_rest<kFloats, kVectors, kRows - 1>(call, at);
}

template <int kFloats, int kVectors, int kRows>
inline void outer_block(const PanelOuterProduct& call, int64_t channel) {
  constexpr int kWidth = kFloats * kVectors;
  float* out = call.sums + channel * kWidth;
  // From zero, and added to the sums at the end: shorter sums of 128 pairs or fewer lose fewer bits than one long one.
  Vector<kFloats> sums[kRows][kVectors] = {};
  const float* gradient = call.gradient;
  const float* features = call.features + channel;
  for (int64_t i = 0; i < call.count; ++i, gradient += kWidth, features += call.channels) {
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) sums[r][v] += features[r] * load<kFloats>(gradient + v * kFloats);
  }
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      float* sum = out + r * kWidth + v * kFloats;
      store<kFloats>(sum, load<kFloats>(sum) + sums[r][v]);
    }
}

template <int kFloats, int kVectors, int kRows>
inline void outer_rest(const PanelOuterProduct& call, int64_t channel) {
  if constexpr (kRows > 0) {
    if (call.channels - channel == kRows)
      outer_block<kFloats, kVectors, kRows>(call, channel);
    else
      outer_rest<kFloats, kVectors, kRows - 1>(call, channel);
  }
}

template <int kFloats, int kVectors, int kRows>
void outer_product(const PanelOuterProduct& call) {
  int64_t channel = 0;
  for (; channel + kRows <= call.channels; channel += kRows) outer_block<kFloats, kVectors, kRows>(call, channel);
  outer_rest<kFloats, kVectors, kRows - 1>(call, channel);
}

}  // namespace pk::PK_SET
