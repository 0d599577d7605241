// The inner loops of resizing; simd.cpp defines them for each instruction set. Pixels are words: R, G, B from the
// lowest byte on.
#pragma once

#include <cstdint>

#include "common/instruction_set.hpp"

namespace pk {

constexpr int kMostLanes = 16;   // pixels that are summed at once, at most; every machine's number divides it
constexpr int kWeightBits = 22;  // after the binary point

// As many rows as there are lanes along x. pixels: word x * lanes + row; targets: the output row of each.
struct ColumnSums {
  const uint32_t* pixels;
  const int32_t* begins;
  const int32_t* weights;
  int32_t size;
  int32_t taps;
  uint32_t* targets[kMostLanes];
};

// One output row from rows that lie `width` words apart, a multiple of kMostLanes.
struct RowSums {
  const uint32_t* first;
  const int32_t* weights;
  int32_t taps;
  int64_t width;
  uint32_t* target;  // [width]
};

// output[i * stride] = the byte of pixels[i] from bit `shift` on, times scale, plus offset.
struct ChannelScaling {
  const uint32_t* pixels;
  int64_t count;
  int shift;
  float scale;
  float offset;
  float* output;
  int64_t stride;
};

struct ImageLoops {
  int lanes;
  void (*column_sums)(const ColumnSums&);
  void (*row_sums)(const RowSums&);
  void (*scale_channel)(const ChannelScaling&);
};

PK_TABLE_OF_EVERY_SET(ImageLoops, image_loops)

}  // namespace pk
