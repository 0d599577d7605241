// The inner loop of interpolation and of means: a weighted sum of a few rows.
#pragma once

#include "common/half_vectors.hpp"
#include "common/row_loops.hpp"
#include "common/vectors.hpp"

namespace pk::PK_SET {

// kVectors vectors beside each other from `channel` on, or with kAtEnd so that the last one ends with the row: some
// channels are then computed twice, which is cheaper than one by one.
template <int kFloats, int kVectors, bool kAtEnd, typename Stored>
inline void weighted_block(const WeightedRowsOf<Stored>& call, int64_t channel, Stored* output) {
  const int64_t last = kAtEnd ? call.channels - kFloats - channel : (kVectors - 1) * kFloats;
  const auto at = [last](int v) { return v + 1 < kVectors ? int64_t{v} * kFloats : last; };
  Vector<kFloats> sums[kVectors] = {};
  for (int64_t i = 0; i < call.count; ++i) {
    if (call.rows[i] < 0) continue;
    const float weight = call.weights != nullptr ? call.weights[i] : 1.0F;
    const Stored* row = call.features + call.rows[i] * call.channels + channel;
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) sums[v] += weight * load<kFloats>(row + at(v));
  }
#pragma GCC unroll 4
  for (int v = 0; v < kVectors; ++v) store<kFloats>(output + channel + at(v), sums[v] * call.scale);
}

template <int kFloats, typename Stored>
void weighted_rows(const WeightedRowsOf<Stored>& call, Stored* output) {
  if constexpr (kFloats > 1)
    if (call.channels < kFloats) return weighted_rows<kFloats / 2>(call, output);
  int64_t channel = 0;
  for (; channel + 4 * kFloats <= call.channels; channel += 4 * kFloats)
    weighted_block<kFloats, 4, false>(call, channel, output);
  const int64_t rest = call.channels - channel;
  if (rest > 3 * kFloats) return weighted_block<kFloats, 4, true>(call, channel, output);
  if (rest > 2 * kFloats) return weighted_block<kFloats, 3, true>(call, channel, output);
  if (rest > kFloats) return weighted_block<kFloats, 2, true>(call, channel, output);
  if (rest > 0) weighted_block<kFloats, 1, true>(call, channel, output);
}

}  // namespace pk::PK_SET
