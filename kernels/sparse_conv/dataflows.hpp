// The ways to compute a layer on a GPU, and how one is chosen.
#pragma once

#include "common/gpu.hpp"

#if defined(__CUDACC__)
#define PK_ON_DEVICE __device__
#else
#define PK_ON_DEVICE
#endif

namespace pk::cuda {

// What is settled before a kernel starts.
struct Choice {
  int dtype;  // pk_dtype
  bool tensor_cores;
  int tile_rows, tile_columns;
};

// Which input row a weight of an output row multiplies: by a table, or by a parent and the one weight that uses it.
// Whatever lies out of range counts as absent.
struct InputRows {
  const int32_t* table;  // null where there are parents
  const int32_t* parent;
  const uint8_t* offset;
  const int32_t* order;  // null: as they come
  int64_t n_in;
  int64_t n_out;
  int volume;

  PK_ON_DEVICE int32_t of(int64_t row, int k) const {
    const int32_t input = table != nullptr ? table[row * volume + k] : offset[row] == k ? parent[row] : -1;
    return input < n_in ? input : -1;
  }

  // The output row at a position of the order, -1 past the last.
  PK_ON_DEVICE int32_t output_row(int64_t position) const {
    if (position >= n_out) return -1;
    const int32_t row = order != nullptr ? order[position] : static_cast<int32_t>(position);
    return row < n_out ? row : -1;
  }
};

void implicit_gemm(const Gpu& gpu, const pk_convolution& layer, const InputRows& inputs, const Choice& choice);

}  // namespace pk::cuda
