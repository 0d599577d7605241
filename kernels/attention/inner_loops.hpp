// The inner loops of group attention; simd.cpp defines them for each instruction set.
#pragma once

#include <cstdint>

#include "common/instruction_set.hpp"

namespace pk {

// Attention of a block of queries, which lie side by side in vectors, to all keys of their group; one head.
struct AttentionBlock {
  const float* q;    // [channels, lanes], scaled such that the weights are powers of 2
  const float* k;    // [keys, channels]
  const float* v;    // [keys, channels]
  int64_t keys;      // at least 1
  int64_t channels;  // a multiple of 8
  float* scores;     // [keys, lanes], room to work in
  float* output;     // [lanes, channels]
};

struct AttentionLoops {
  void (*attend[2])(const AttentionBlock&);  // blocks of 8 and of 16 queries
};

PK_TABLE_OF_EVERY_SET(AttentionLoops, attention_loops)

}  // namespace pk
