// Dense layers on tensor cores: half precision, a tile of 64 x 64 outputs for a block of four warps.
#pragma once

#include "common/tensor_core.cuh"
#include "common/vector_memory.cuh"
#include "feed_forward/epilogue.cuh"

namespace pk::cuda {

constexpr int kTensorThreads = 128;
constexpr int kDepth = 32;                // channels of a step
constexpr int kDepthStride = kDepth + 8;  // so that the lanes of a warp meet different banks
constexpr int kHalvesOfVector = 8;

// Rows begin..begin + 63 of a matrix, channels from `depth` on; zeros outside. `wide`: rows may be read 16 bytes at a
// time.
__device__ inline void load_depth(const Matrix<Half>& matrix, int64_t begin, int64_t depth, bool wide, Half* to) {
  constexpr int kVectors = kDepth / kHalvesOfVector;
  for (int i = static_cast<int>(threadIdx.x); i < kTileRows * kVectors; i += kTensorThreads) {
    const int64_t row = begin + i / kVectors;
    const int64_t channel = depth + i % kVectors * kHalvesOfVector;
    Few<Half, kHalvesOfVector> values;
    if (wide && row < matrix.rows && channel < matrix.channels)
      values = load_vector<Few<Half, kHalvesOfVector>>(matrix.row(row) + channel);
    else
      for (int k = 0; k < kHalvesOfVector; ++k)
        values.at[k] = row < matrix.rows && channel + k < matrix.channels ? matrix.row(row)[channel + k] : Half{0};
    store_vector(to + i / kVectors * kDepthStride + i % kVectors * kHalvesOfVector, values);
  }
}

__device__ inline uint32_t pair_at(const Half* tile, int row, int channel) {
  return load_vector<uint32_t>(tile + row * kDepthStride + channel);
}

// A warp multiplies 32 rows with 32 columns: 2 x 4 products of 16 x 8.
__device__ inline void multiply_depth(const Half* inputs, const Half* weights, int lane, float sums[2][4][4]) {
  const int group = lane / 4;
  const int pair = 2 * (lane % 4);
#pragma unroll
  for (int k = 0; k < kDepth; k += 16) {
    uint32_t a[2][4];
#pragma unroll
    for (int m = 0; m < 2; ++m)
#pragma unroll
      for (int word = 0; word < 4; ++word)
        a[m][word] = pair_at(inputs, 16 * m + group + 8 * (word % 2), k + pair + 8 * (word / 2));
#pragma unroll
    for (int n = 0; n < 4; ++n) {
      const uint32_t b[2] = {pair_at(weights, 8 * n + group, k + pair), pair_at(weights, 8 * n + group, k + pair + 8)};
#pragma unroll
      for (int m = 0; m < 2; ++m) mma_16x8x16(sums[m][n], a[m], b);
    }
  }
}

template <typename Output>
__global__ void dense_on_tensor_cores(pk_linear layer, bool wide, Output* output) {
  __align__(16) __shared__ Half inputs[kTileRows * kDepthStride];
  __align__(16) __shared__ Half weights[kTileColumns * kDepthStride];
  const int64_t first_row = int64_t{blockIdx.x} * kTileRows;
  const int64_t first_column = int64_t{blockIdx.y} * kTileColumns;
  const int warp = static_cast<int>(threadIdx.x) / kWarp;
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const int warp_row = warp / 2 * 32;
  const int warp_column = warp % 2 * 32;
  float sums[2][4][4] = {};
  for (int64_t depth = 0; depth < layer.c_in; depth += kDepth) {
    load_depth(input_of<Half>(layer), first_row, depth, wide, inputs);
    load_depth(weight_of<Half>(layer), first_column, depth, wide, weights);
    __syncthreads();
    multiply_depth(inputs + warp_row * kDepthStride, weights + warp_column * kDepthStride, lane, sums);
    __syncthreads();
  }
#pragma unroll
  for (int m = 0; m < 2; ++m)
#pragma unroll
    for (int n = 0; n < 4; ++n)
#pragma unroll
      for (int i = 0; i < 4; ++i)
        finish<Half>(layer, first_row + warp_row + 16 * m + lane / 4 + 8 * (i / 2),
                     first_column + warp_column + 8 * n + 2 * (lane % 4) + i % 2, sums[m][n][i], output);
}

}  // namespace pk::cuda
