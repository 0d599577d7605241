#pragma once

#include "common/gpu.hpp"

namespace pk::cuda {

// The arguments of pk_add_position.
struct Position {
  const void* features;
  int64_t step;  // elements from one row of features to the next
  const int32_t* coords;
  int64_t n;
  const float* table;
  int32_t length;
  int32_t half;
  int32_t dtype;
  void* output;
};

void add_position(const Gpu& gpu, const Position& call);

}  // namespace pk::cuda
