// What goes into the product of a dense layer, and what follows it on one element.
#pragma once

#include "common/cuda.cuh"
#include "feed_forward/cuda.hpp"

namespace pk::cuda {

constexpr int kTileRows = 64;
constexpr int kTileColumns = 64;

// Rows that lie `step` elements apart.
template <typename Stored>
struct Matrix {
  const Stored* first;
  int64_t step;
  int64_t rows;
  int64_t channels;
  __device__ const Stored* row(int64_t number) const { return first + number * step; }
};

template <typename Stored>
__device__ inline Matrix<Stored> input_of(const pk_linear& layer) {
  return {static_cast<const Stored*>(layer.input), layer.input_step, layer.rows, layer.c_in};
}

template <typename Stored>
__device__ inline Matrix<Stored> weight_of(const pk_linear& layer) {
  return {static_cast<const Stored*>(layer.weight), layer.c_in, layer.c_out, layer.c_in};
}

__device__ inline float activate(float x, int activation) {
  constexpr float kSqrtHalf = 0.707106781F;
  if (activation == PK_RELU) return x < 0.0F ? 0.0F : x;  // NaN stays
  if (activation == PK_GELU) return 0.5F * x * (1.0F + erff(x * kSqrtHalf));
  return x;
}

// Add bias and residual, activate and store; what lies outside the output is left out. Output differs from Stored where
// a norm follows, which wants the sums unrounded.
template <typename Stored, typename Output>
__device__ inline void finish(const pk_linear& layer, int64_t row, int64_t column, float sum, Output* output) {
  if (row >= layer.rows || column >= layer.c_out) return;
  if (layer.bias != nullptr) sum += layer.bias[column];
  const int64_t other = layer.residual_rows != nullptr ? layer.residual_rows[row] : row;
  if (layer.residual != nullptr && other >= 0 && other < layer.residual_count)
    sum += to_float(static_cast<const Stored*>(layer.residual)[other * layer.c_out + column]);
  output[row * layer.c_out + column] = from_float<Output>(activate(sum, layer.activation));
}

}  // namespace pk::cuda
