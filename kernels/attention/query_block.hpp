// Softmax attention of a few queries at a time. The scores of a block of queries stay in the first-level cache.
#pragma once

#include "attention/inner_loops.hpp"
#include "common/elementary.hpp"

namespace pk::PK_SET {

template <int kFloats, int kVectors>
struct Lanes {
  static constexpr int kCount = kFloats * kVectors;
  Vector<kFloats> part[kVectors];
};

template <int kFloats, int kVectors, int kKeys>
inline void score_keys(const AttentionBlock& call, int64_t key, Lanes<kFloats, kVectors>& largest) {
  constexpr int kLanes = Lanes<kFloats, kVectors>::kCount;
  Vector<kFloats> sums[kKeys][kVectors] = {};
  const float* k = call.k + key * call.channels;
  for (int64_t c = 0; c < call.channels; ++c) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      const Vector<kFloats> q = load<kFloats>(call.q + c * kLanes + v * kFloats);
#pragma GCC unroll 8
      for (int i = 0; i < kKeys; ++i) sums[i][v] += k[i * call.channels + c] * q;
    }
  }
#pragma GCC unroll 8
  for (int i = 0; i < kKeys; ++i)
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      store<kFloats>(call.scores + (key + i) * kLanes + v * kFloats, sums[i][v]);
      largest.part[v] = larger<kFloats>(largest.part[v], sums[i][v]);
    }
}

// The keys that do not fill a step: as one smaller step.
template <int kFloats, int kVectors, int kKeys>
inline void score_rest(const AttentionBlock& call, int64_t key, Lanes<kFloats, kVectors>& largest) {
  if constexpr (kKeys > 0) {
    if (call.keys - key == kKeys)
      score_keys<kFloats, kVectors, kKeys>(call, key, largest);
    else
      score_rest<kFloats, kVectors, kKeys - 1>(call, key, largest);
  }
}

// Scores become weights that do not yet sum to 1; returns one over their sums.
template <int kFloats, int kVectors>
inline Lanes<kFloats, kVectors> weigh(const AttentionBlock& call, const Lanes<kFloats, kVectors>& largest) {
  constexpr int kLanes = Lanes<kFloats, kVectors>::kCount;
  Lanes<kFloats, kVectors> sums = {};
  for (int64_t key = 0; key < call.keys; ++key)
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      float* at = call.scores + key * kLanes + v * kFloats;
      const Vector<kFloats> weight = exp2<kFloats>(load<kFloats>(at) - largest.part[v]);
      store<kFloats>(at, weight);
      sums.part[v] += weight;
    }
#pragma GCC unroll 4
  for (int v = 0; v < kVectors; ++v) sums.part[v] = 1.0F / sums.part[v];
  return sums;
}

// Here vectors hold channels, so that results come out as rows.
template <int kLanes, int kFloats, int kVectors, int kQueries>
inline void sum_values(const AttentionBlock& call, int64_t query, int64_t channel, const float* scales) {
  Vector<kFloats> sums[kQueries][kVectors] = {};
  const float* value = call.v + channel;
  const float* weights = call.scores + query;
  for (int64_t key = 0; key < call.keys; ++key, value += call.channels, weights += kLanes) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      const Vector<kFloats> part = load<kFloats>(value + v * kFloats);
#pragma GCC unroll 16
      for (int i = 0; i < kQueries; ++i) sums[i][v] += weights[i] * part;
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < kQueries; ++i)
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v)
      store<kFloats>(call.output + (query + i) * call.channels + channel + v * kFloats, sums[i][v] * scales[query + i]);
}

template <int kLanes, int kFloats, int kVectors, int kQueries>
inline int64_t sum_columns(const AttentionBlock& call, int64_t channel, const float* scales) {
  for (; channel + kFloats * kVectors <= call.channels; channel += kFloats * kVectors)
    for (int64_t query = 0; query < kLanes; query += kQueries)
      sum_values<kLanes, kFloats, kVectors, kQueries>(call, query, channel, scales);
  return channel;
}

// kFloats * kVectors queries at a time and kKeys keys; then kQueries queries and vectors of kWide floats of channels.
template <int kFloats, int kVectors, int kKeys, int kWide, int kQueries>
void attend(const AttentionBlock& call) {
  constexpr int kLanes = kFloats * kVectors;
  Lanes<kFloats, kVectors> largest;
  for (int v = 0; v < kVectors; ++v) largest.part[v] = Vector<kFloats>{} - 3e38F;
  int64_t key = 0;
  for (; key + kKeys <= call.keys; key += kKeys) score_keys<kFloats, kVectors, kKeys>(call, key, largest);
  score_rest<kFloats, kVectors, kKeys - 1>(call, key, largest);
  const Lanes<kFloats, kVectors> scale = weigh<kFloats, kVectors>(call, largest);
  float scales[kLanes];
  for (int v = 0; v < kVectors; ++v) store<kFloats>(scales + v * kFloats, scale.part[v]);
  int64_t channel = sum_columns<kLanes, kWide, 2, kQueries / 2>(call, 0, scales);
  channel = sum_columns<kLanes, kWide, 1, kQueries>(call, channel, scales);
  if constexpr (kWide > 8) channel = sum_columns<kLanes, 8, 1, kQueries>(call, channel, scales);
  sum_columns<kLanes, 4, 2, kQueries / 2>(call, channel, scales);
}

}  // namespace pk::PK_SET
