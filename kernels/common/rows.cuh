// Launches over rows of channels: neighbouring threads work on neighbouring channels of a row.
#pragma once

#include "common/cuda.cuh"

namespace pk::cuda {

constexpr int kRowThreads = 256;

// As many threads for a row as it has channels, up to a warp, and as many rows as fill a block.
inline dim3 row_block(int64_t channels) {
  unsigned lanes = 1;
  while (lanes < channels && lanes < static_cast<unsigned>(kWarp)) lanes *= 2;
  return {lanes, kRowThreads / lanes};
}

inline dim3 row_grid(int64_t rows, int64_t channels) { return blocks(rows, static_cast<int>(row_block(channels).y)); }

// The row of this thread; it works on the channels threadIdx.x, threadIdx.x + blockDim.x, ...
__device__ inline int64_t row_of_thread() {
  return static_cast<int64_t>(blockIdx.x) * blockDim.y + static_cast<int64_t>(threadIdx.y);
}

}  // namespace pk::cuda
