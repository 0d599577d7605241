#pragma once

#include "common/gpu.hpp"

namespace pk::cuda {

// The arguments of pk_layer_norm.
struct Norm {
  const void* input;
  const void* residual;
  const float* weight;
  const float* bias;
  int64_t rows;
  int32_t channels;
  float epsilon;
  int32_t dtype;
  void* output;
};

void linear_layer(const Gpu& gpu, const pk_linear& layer);
void layer_norm(const Gpu& gpu, const Norm& norm);

}  // namespace pk::cuda
