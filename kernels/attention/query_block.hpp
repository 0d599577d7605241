// Softmax attention of a few queries at a time, side by side in vectors. Their scores stay in the first-level cache.
#pragma once

#include "attention/inner_loops.hpp"
#include "common/elementary.hpp"
#include "common/transpose.hpp"

namespace pk::PK_SET {

template <int kFloats, int kVectors>
struct Lanes {
  Vector<kFloats> part[kVectors];
};

template <int kFloats, int kVectors>
struct QueryBlock {
  const AttentionBlock& call;
  const float* queries;              // [channels, queries]
  Lanes<kFloats, kVectors> largest;  // score of each query
  Lanes<kFloats, kVectors> sums;     // of its weights
};

template <int kFloats, int kVectors, int kKeys>
inline void score_keys(QueryBlock<kFloats, kVectors>& block, int64_t key) {
  constexpr int kLanes = kFloats * kVectors;
  const int64_t channels = block.call.channels;
  Vector<kFloats> scores[kKeys][kVectors] = {};
  const float* k[kKeys];
#pragma GCC unroll 8
  for (int i = 0; i < kKeys; ++i) k[i] = block.call.k.first + block.call.k.begins[key + i];
  for (int64_t c = 0; c < channels; ++c) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      const Vector<kFloats> q = load<kFloats>(block.queries + c * kLanes + v * kFloats);
#pragma GCC unroll 8
      for (int i = 0; i < kKeys; ++i) scores[i][v] += k[i][c] * q;
    }
  }
#pragma GCC unroll 8
  for (int i = 0; i < kKeys; ++i)
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      block.largest.part[v] = larger<kFloats>(block.largest.part[v], scores[i][v]);
      store<kFloats>(block.call.scores + (key + i) * kLanes + v * kFloats, scores[i][v]);
    }
}

// The keys that do not fill a step: as one smaller step.
template <int kFloats, int kVectors, int kKeys>
inline void score_rest(QueryBlock<kFloats, kVectors>& block, int64_t key) {
  if constexpr (kKeys > 0) {
    if (block.call.keys - key == kKeys)
      score_keys<kFloats, kVectors, kKeys>(block, key);
    else
      score_rest<kFloats, kVectors, kKeys - 1>(block, key);
  }
}

template <int kFloats, int kVectors, int kKeys>
inline void score_all(QueryBlock<kFloats, kVectors>& block) {
  int64_t key = 0;
  for (; key + kKeys <= block.call.keys; key += kKeys) score_keys<kFloats, kVectors, kKeys>(block, key);
  score_rest<kFloats, kVectors, kKeys - 1>(block, key);
}

// Scores become weights that do not yet sum to 1.
template <int kFloats, int kVectors>
inline void weigh(QueryBlock<kFloats, kVectors>& block) {
  for (int64_t key = 0; key < block.call.keys; ++key)
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      float* at = block.call.scores + (key * kVectors + v) * kFloats;
      const Vector<kFloats> weight = exp2<kFloats>(load<kFloats>(at) - block.largest.part[v]);
      store<kFloats>(at, weight);
      block.sums.part[v] += weight;
    }
}

// Here vectors hold channels, so that results come out as rows.
template <int kLanes, int kFloats, int kVectors, int kQueries>
inline void sum_values(const AttentionBlock& call, int64_t query, int64_t channel, const float* scales) {
  Vector<kFloats> sums[kQueries][kVectors] = {};
  const float* values = call.v.first + channel;
  const float* weights = call.scores + query;
  for (int64_t key = 0; key < call.keys; ++key, weights += kLanes) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      const Vector<kFloats> part = load<kFloats>(values + call.v.begins[key] + v * kFloats);
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
  alignas(64) float queries[kMostChannels * kLanes];  // [channels, queries]
  transpose(call.q, kLanes, call.channels, call.channels, queries, kLanes);
  QueryBlock<kFloats, kVectors> block = {call, queries, {}, {}};
  for (int v = 0; v < kVectors; ++v) block.largest.part[v] = Vector<kFloats>{} - 3e38F;
  score_all<kFloats, kVectors, kKeys>(block);
  weigh(block);
  float scales[kLanes];
  for (int v = 0; v < kVectors; ++v) store<kFloats>(scales + v * kFloats, 1.0F / block.sums.part[v]);
  int64_t channel = sum_columns<kLanes, kWide, 2, kQueries / 2>(call, 0, scales);
  channel = sum_columns<kLanes, kWide, 1, kQueries>(call, channel, scales);
  if constexpr (kWide > 8) channel = sum_columns<kLanes, 8, 1, kQueries>(call, channel, scales);
  sum_columns<kLanes, 4, 2, kQueries / 2>(call, channel, scales);
}

}  // namespace pk::PK_SET
