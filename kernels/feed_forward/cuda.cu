#include "common/dtype.hpp"
#include "common/rows.cuh"
#include "feed_forward/tensor_core.cuh"

namespace pk::cuda {
namespace {

constexpr int kThreads = 256;  // 16 x 16, each with 4 x 4 outputs
constexpr int kPart = 4;
constexpr int kStep = 16;  // channels of a step
constexpr int kStride = kTileRows + 4;

// Channels depth..depth + 15 of 64 rows of a matrix, transposed; zeros outside.
template <typename Stored>
__device__ void load_step(const Matrix<Stored>& matrix, int64_t begin, int64_t depth, float* to) {
  for (int i = static_cast<int>(threadIdx.x); i < kTileRows * kStep; i += kThreads) {
    const int64_t row = begin + i / kStep;
    const int64_t channel = depth + i % kStep;
    to[i % kStep * kStride + i / kStep] =
        row < matrix.rows && channel < matrix.channels ? to_float(matrix.row(row)[channel]) : 0.0F;
  }
}

template <typename Stored, typename Output>
__global__ void dense(pk_linear layer, Output* output) {
  __shared__ float inputs[kStep * kStride];
  __shared__ float weights[kStep * kStride];
  const int64_t first_row = int64_t{blockIdx.x} * kTileRows;
  const int64_t first_column = int64_t{blockIdx.y} * kTileColumns;
  const int row = static_cast<int>(threadIdx.x) / 16 * kPart;
  const int column = static_cast<int>(threadIdx.x) % 16 * kPart;
  float sums[kPart][kPart] = {};
  for (int64_t depth = 0; depth < layer.c_in; depth += kStep) {
    load_step(input_of<Stored>(layer), first_row, depth, inputs);
    load_step(weight_of<Stored>(layer), first_column, depth, weights);
    __syncthreads();
#pragma unroll
    for (int k = 0; k < kStep; ++k)
#pragma unroll
      for (int i = 0; i < kPart; ++i)
#pragma unroll
        for (int j = 0; j < kPart; ++j)
          sums[i][j] = fmaf(inputs[k * kStride + row + i], weights[k * kStride + column + j], sums[i][j]);
    __syncthreads();
  }
#pragma unroll
  for (int i = 0; i < kPart; ++i)
#pragma unroll
    for (int j = 0; j < kPart; ++j)
      finish<Stored>(layer, first_row + row + i, first_column + column + j, sums[i][j], output);
}

__device__ inline float sum_of_warp(float value) {
  for (int step = kWarp / 2; step > 0; step /= 2) value += __shfl_xor_sync(kAllLanes, value, step);
  return value;
}

template <typename Input, typename Stored>
__device__ inline float norm_input(const Norm& norm, int64_t at) {
  float value = to_float(static_cast<const Input*>(norm.input)[at]);
  if (norm.residual != nullptr) value += to_float(static_cast<const Stored*>(norm.residual)[at]);
  return value;
}

// A warp for a row. Input and output may be the same array.
template <typename Input, typename Stored>
__global__ void normalise(Norm norm) {
  const int64_t row = row_of_thread();
  const int64_t begin = row * norm.channels;
  const int64_t end = row < norm.rows ? begin + norm.channels : begin;
  const auto channels = static_cast<float>(norm.channels);
  float sum = 0.0F;
  for (int64_t at = begin + threadIdx.x; at < end; at += kWarp) sum += norm_input<Input, Stored>(norm, at);
  const float mean = sum_of_warp(sum) / channels;
  float squares = 0.0F;
  for (int64_t at = begin + threadIdx.x; at < end; at += kWarp) {
    const float offset = norm_input<Input, Stored>(norm, at) - mean;
    squares = fmaf(offset, offset, squares);
  }
  const float scale = 1.0F / sqrtf(sum_of_warp(squares) / channels + norm.epsilon);
  for (int64_t at = begin + threadIdx.x; at < end; at += kWarp) {
    const float value = (norm_input<Input, Stored>(norm, at) - mean) * scale;
    static_cast<Stored*>(norm.output)[at] = from_float<Stored>(value * norm.weight[at - begin] + norm.bias[at - begin]);
  }
}

template <typename Input, typename Stored>
void launch_norm(const Gpu& gpu, const Norm& norm) {
  const dim3 block(kWarp, kThreads / kWarp);
  launch(gpu, {{"rows", norm.rows}, {"channels", norm.channels}}, normalise<Input, Stored>,
         blocks(norm.rows, static_cast<int>(block.y)), block, 0, norm);
}

// Rows of 16 bytes from an address that is a multiple of 16.
bool readable_wide(const pk_linear& layer) {
  const auto addresses = reinterpret_cast<uintptr_t>(layer.input) | reinterpret_cast<uintptr_t>(layer.weight);
  return (layer.c_in | layer.input_step) % kHalvesOfVector == 0 && addresses % 16 == 0;
}

template <typename Stored, typename Output>
void launch_dense(const Gpu& gpu, const pk_linear& layer, Output* output) {
  const Sizes sizes{{"rows", layer.rows}, {"c_in", layer.c_in}, {"c_out", layer.c_out}};
  const dim3 grid(blocks(layer.rows, kTileRows), blocks(layer.c_out, kTileColumns));
  if constexpr (sizeof(Stored) == sizeof(Half)) {
    if (has_tensor_cores(gpu))
      return launch(gpu, sizes, dense_on_tensor_cores<Output>, grid, kTensorThreads, 0, layer, readable_wide(layer),
                    output);
  }
  launch(gpu, sizes, dense<Stored, Output>, grid, kThreads, 0, layer, output);
}

}  // namespace

void linear_layer(const Gpu& gpu, const pk_linear& layer) {
  with_stored(layer.dtype, [&](auto stored) {
    using Stored = decltype(stored);
    auto* output = static_cast<Stored*>(layer.output);
    if (layer.norm_weight == nullptr) return launch_dense<Stored>(gpu, layer, output);
    const bool half = sizeof(Stored) == sizeof(Half);
    const Scratch<float> sums(gpu, half ? layer.rows * layer.c_out : 0);
    float* unrounded = half ? sums.data() : static_cast<float*>(layer.output);
    launch_dense<Stored>(gpu, layer, unrounded);
    launch_norm<float, Stored>(gpu, {unrounded, nullptr, layer.norm_weight, layer.norm_bias, layer.rows, layer.c_out,
                                     layer.norm_epsilon, layer.dtype, layer.output});
  });
}

void layer_norm(const Gpu& gpu, const Norm& norm) {
  with_stored(norm.dtype, [&](auto stored) { launch_norm<decltype(stored), decltype(stored)>(gpu, norm); });
}

}  // namespace pk::cuda
