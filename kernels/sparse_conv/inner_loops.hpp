// The inner loops of sparse convolution; simd.cpp defines them for each instruction set.
#pragma once

#include <cstdint>

#include "common/instruction_set.hpp"

namespace pk {

// The pairs (input row, row of the tile) of a tile of a table, by weight. Weight k has its pairs at k * tile.
struct TilePairs {
  const int32_t* table;  // [rows, volume], the tile's first row
  int64_t rows;
  int64_t volume;
  int64_t n_in;
  int64_t tile;  // at least rows
  int32_t* inputs;
  int32_t* outputs;
  int64_t* counts;  // [volume]
};

// sums[output_rows[i]] += features[input_rows[i]] @ weight, for i < count and one panel of output channels.
struct PanelProduct {
  const float* features;  // rows of c_in
  int64_t c_in;
  const int32_t* input_rows;
  const int32_t* output_rows;  // each at most once
  int64_t count;
  const float* weight;  // [c_in, panel width]
  float* sums;          // rows of the panel's width
};

// sums [channels, panel width] += sum over i of features[i]^T gradient[i].
struct PanelOuterProduct {
  const float* features;  // [count, channels]
  const float* gradient;  // [count, panel width]
  int64_t count;
  int64_t channels;
  float* sums;
};

// output = relu(sums + bias + residual) for the channels of one panel; bias and residual may be null.
struct PanelResult {
  const float* sums;  // [rows, panel width]
  int64_t rows;
  int64_t width;
  int64_t used;          // channels that exist
  const float* bias;     // at the panel's first channel, like what follows
  const void* residual;  // of the type of the output
  void* output;
  int64_t stride;  // channels between rows of output and residual
  bool relu;
};

// floats[i] = from[rows[i]] for some channels of each row, padded with zeros up to `width`; null rows mean 0, 1, 2, ...
struct GatheredRows {
  const void* from;  // at the first channel of row 0, stored as float32 or float16
  int64_t stride;    // channels between rows
  const int32_t* rows;
  int64_t count;
  int64_t channels;
  int64_t width;  // at least channels
  float* floats;  // [count, width]
};

struct ConvolutionLoops {
  int widest_panel;                         // 32, 16 or 8 floats; all narrower ones exist too
  bool (*collect)(const TilePairs&);        // false where an input row does not exist
  void (*product[3])(const PanelProduct&);  // by panel_index: 8, 16, 32 wide
  void (*outer_product[3])(const PanelOuterProduct&);
  void (*finish[2])(const PanelResult&);  // by pk_dtype
  void (*gather[2])(const GatheredRows&);
};

PK_TABLE_OF_EVERY_SET(ConvolutionLoops, convolution_loops)

}  // namespace pk
