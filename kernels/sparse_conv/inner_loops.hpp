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

// sums [c_in, panel width] += sum over i of features[input_rows[i]]^T gradient[i].
struct PanelOuterProduct {
  const float* features;
  int64_t c_in;
  const int32_t* input_rows;
  int64_t count;
  const float* gradient;  // [count, panel width]
  float* sums;
};

struct ConvolutionLoops {
  int widest_panel;                         // 32, 16 or 8 floats; all narrower ones exist too
  bool (*collect)(const TilePairs&);        // false where an input row does not exist
  void (*product[3])(const PanelProduct&);  // by panel width: 8, 16, 32
  void (*outer_product[3])(const PanelOuterProduct&);
};

constexpr int panel_index(int width) { return width == 8 ? 0 : width == 16 ? 1 : 2; }

PK_TABLE_OF_EVERY_SET(ConvolutionLoops, convolution_loops)

}  // namespace pk
