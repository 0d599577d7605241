// The inner loop of interpolation and of means: a weighted sum of a few rows.
#pragma once

#include "common/half_vectors.hpp"
#include "common/row_loops.hpp"
#include "common/vectors.hpp"

namespace pk::PK_SET {

template <int kFloats, int kVectors, typename Stored>
inline void weighted_block(const WeightedRowsOf<Stored>& call, int64_t channel, Stored* output) {
  Vector<kFloats> sums[kVectors] = {};
  for (int64_t i = 0; i < call.count; ++i) {
    if (call.rows[i] < 0) continue;
    const float weight = call.weights != nullptr ? call.weights[i] : 1.0F;
    const Stored* row = call.features + call.rows[i] * call.channels + channel;
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) sums[v] += weight * load<kFloats>(row + v * kFloats);
  }
#pragma GCC unroll 4
  for (int v = 0; v < kVectors; ++v) store<kFloats>(output + channel + v * kFloats, sums[v] * call.scale);
}

template <int kFloats, typename Stored>
void weighted_rows(const WeightedRowsOf<Stored>& call, Stored* output) {
  int64_t channel = 0;
  for (; channel + 4 * kFloats <= call.channels; channel += 4 * kFloats)
    weighted_block<kFloats, 4>(call, channel, output);
  for (; channel + kFloats <= call.channels; channel += kFloats) weighted_block<kFloats, 1>(call, channel, output);
  for (; channel + 4 <= call.channels; channel += 4) weighted_block<4, 1>(call, channel, output);
  for (; channel < call.channels; ++channel) weighted_block<1, 1>(call, channel, output);
}

}  // namespace pk::PK_SET
