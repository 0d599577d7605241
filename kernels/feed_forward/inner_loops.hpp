// The inner loops of dense layers; simd.cpp defines them for each instruction set.
#pragma once

#include <cstdint>

#include "common/instruction_set.hpp"
#include "perception_kernels/feed_forward.h"

namespace pk {

// sums [rows, sums_step] = input [rows, c_in] @ weight [c_in, panel width], for one panel of output channels.
struct DensePanel {
  const float* input;
  const float* weight;
  float* sums;
  int64_t rows;
  int64_t c_in;
  int64_t sums_step;
};

// What follows the product, in place on one row of sums: see pk_linear.
struct DenseRow {
  const float* bias;
  const float* residual;
  const float* norm_weight;
  const float* norm_bias;
  int64_t channels;
  int activation;
  float norm_epsilon;
};

struct FeedForwardLoops {
  int panel;  // output channels of a panel
  void (*product)(const DensePanel&);
  void (*finish)(const DenseRow&, float* sums);
};

PK_TABLE_OF_EVERY_SET(FeedForwardLoops, feed_forward_loops)

}  // namespace pk
