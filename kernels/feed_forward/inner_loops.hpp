// The inner loops of dense layers; simd.cpp defines them for each instruction set.
#pragma once

#include <cstdint>

#include "common/instruction_set.hpp"
#include "perception_kernels/feed_forward.h"

namespace pk {

// sums [rows, sums_step] = input [rows, c_in], its rows input_step apart, @ weight [c_in, panel width], for one panel
// of output channels.
struct DensePanel {
  const float* input;
  const float* weight;
  float* sums;
  int64_t rows;
  int64_t c_in;
  int64_t input_step;
  int64_t sums_step;
};

// What follows the product of some rows: output = norm(activation(sums + bias + residual)); see pk_linear.
struct DenseRows {
  float* sums;  // [rows, sums_step]; overwritten where a norm follows
  int64_t sums_step;
  int64_t rows;
  int64_t channels;
  const float* bias;
  const void* residual;          // of the type of the output
  const int32_t* residual_rows;  // or null: row i adds row i
  int activation;
  const float* norm_weight;
  const float* norm_bias;
  float norm_epsilon;
  void* output;  // [rows, channels]
};

struct FeedForwardLoops {
  int widest_panel;                       // 32, 16 or 8 floats; all narrower ones exist too
  void (*product[3])(const DensePanel&);  // by panel_index: 8, 16, 32 wide
  void (*finish[2])(const DenseRows&);    // by pk_dtype
};

PK_TABLE_OF_EVERY_SET(FeedForwardLoops, feed_forward_loops)

}  // namespace pk
