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

// The pairs of a table (pk_list_pairs). `begins` are of tiles of PK_PAIR_TILE output rows; `counts` lie in host memory.
struct Pairs {
  const int32_t* begins;
  const int32_t* inputs;
  const int32_t* outputs;
  const int64_t* counts;
  int64_t total;
  int64_t tiles;

  // The pairs of a weight and a tile: within the list, whatever the begins are.
  struct Range {
    int32_t begin, count;
  };
  PK_ON_DEVICE Range range(int64_t k, int64_t tile) const {
    const int64_t begin = begins[k * tiles + tile];
    const int64_t end = begins[k * tiles + tile + 1];
    if (begin < 0 || end > total || end - begin > PK_PAIR_TILE || end <= begin) return {0, 0};
    return {static_cast<int32_t>(begin), static_cast<int32_t>(end - begin)};
  }
};

// With weights as [volume, c_in, c_out], whatever layer.transpose_weight says.
void implicit_gemm(const Gpu& gpu, const pk_convolution& layer, const InputRows& inputs, const Choice& choice);
void fetch_on_demand(const Gpu& gpu, const pk_convolution& layer, const Pairs& pairs, const Choice& choice);
void gather_scatter(const Gpu& gpu, const pk_convolution& layer, const Pairs& pairs, const Choice& choice,
                    float epsilon, int64_t threshold);

}  // namespace pk::cuda
