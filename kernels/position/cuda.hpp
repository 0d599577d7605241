#pragma once

#include "common/gpu.hpp"

namespace pk::cuda {

// The arguments of pk_add_position.
struct Position {
  const void* features;
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
