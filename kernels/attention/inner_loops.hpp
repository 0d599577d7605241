// The inner loops of group attention; simd.cpp defines them for each instruction set.
#pragma once

#include <cstdint>

#include "common/instruction_set.hpp"

namespace pk {

constexpr int kMostQueries = 16;   // of a block
constexpr int kMostChannels = 32;  // of a head

// Some heads of some rows, as floats and head by head. Padding up to `padded` channels becomes 0.
struct HeadRows {
  const void* features;  // float or Half, from the first channel of the first head on
  int64_t stride;        // elements between rows
  const int32_t* rows;
  int64_t count;
  int64_t heads;
  int64_t channels;
  int64_t padded;  // a multiple of 8
  float scale;
  float* output;      // [heads, head_step], of which [count, padded] are written
  int64_t head_step;  // floats
};

// The keys or values of a group in one head: row i begins at first + begins[i].
struct GroupRows {
  const float* first;
  const int64_t* begins;
};

// Attention of a block of queries to all keys of their group; one head.
struct AttentionBlock {
  const float* q;    // [queries, channels], scaled such that the weights are powers of 2
  GroupRows k;       // [keys, channels]
  GroupRows v;       // [keys, channels]
  int64_t keys;      // at least 1
  int64_t channels;  // a multiple of 8
  float* scores;     // [keys, queries], room to work in
  float* output;     // [queries, channels]
};

struct AttentionLoops {
  void (*read_heads[2])(const HeadRows&);    // float and Half
  void (*attend[2])(const AttentionBlock&);  // blocks of 8 and of 16 queries
  // Whether keys and values are best used where they lie. Narrow vectors pass over them so often that it pays to copy
  // them side by side into the first-level cache.
  bool in_place;
};

PK_TABLE_OF_EVERY_SET(AttentionLoops, attention_loops)

}  // namespace pk
