// The inner loops of convolutions along a sequence; simd.cpp defines them for each instruction set.
#pragma once

#include <cstdint>

#include "common/instruction_set.hpp"

namespace pk {

// gated [count, channels]: the gated rows of `rows` (stored [., 2 * channels]).
struct GatedRows {
  const void* stored;
  const int32_t* rows;
  int64_t count;
  int64_t channels;
  float* gated;
};

// Rows of output [., channels]: row `rows[i]` takes gated rows i to i + kernel_size - 1, each with its weights.
struct ConvolvedRows {
  const float* gated;
  const float* kernel;
  int64_t kernel_size;
  const int32_t* rows;
  int64_t count;
  int64_t channels;
  void* output;
};

struct SequenceLoops {
  void (*gate[2])(const GatedRows&);  // by pk_dtype
  void (*convolve[2])(const ConvolvedRows&);
};

PK_TABLE_OF_EVERY_SET(SequenceLoops, sequence_loops)

}  // namespace pk
