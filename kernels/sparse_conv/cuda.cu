#include <numeric>

#include "common/bits.hpp"
#include "common/radix_sort.cuh"
#include "common/tensor_core.cuh"
#include "sparse_conv/cuda.hpp"
#include "sparse_conv/dataflows.hpp"

namespace pk::cuda {
namespace {

constexpr int32_t kMostChannels = 1 << 16;  // so that 32 weights' channels are countable in 32 bits
constexpr int64_t kRowsForLargeTiles = 32768;

void require_channels(const pk_convolution& layer) {
  require(layer.c_in <= kMostChannels && layer.c_out <= kMostChannels, "more than 65536 channels on a GPU");
}

// A tile as wide as the output where that is narrow; large ones where there are rows enough to fill the GPU.
Choice choose(const Gpu& gpu, const pk_convolution& layer) {
  Choice choice = {layer.dtype, layer.dtype == PK_FLOAT16 && has_tensor_cores(gpu), 64, 64};
  if (layer.c_out <= 32)
    choice.tile_columns = 32;
  else if (layer.c_out > 64 && layer.c_out <= 96)
    choice.tile_columns = 96;
  else if (layer.c_out > 96 && layer.n_out >= kRowsForLargeTiles)
    choice.tile_rows = choice.tile_columns = 128;
  return choice;
}

template <typename Element>
__global__ void transpose_weights(const Element* weight, int64_t rows, int64_t columns, int64_t n,
                                  Element* transposed) {
  const int64_t i = global_index();
  if (i >= n) return;
  const int64_t matrix = i / (rows * columns);
  const int64_t row = i / columns % rows;
  const int64_t column = i % columns;
  transposed[i] = weight[(matrix * columns + column) * rows + row];
}

// The weights as the kernels want them, [volume, c_in, c_out].
class Weights {
 public:
  Weights(const Gpu& gpu, const pk_convolution& layer)
      : elements_(int64_t{layer.kernel_volume} * layer.c_in * layer.c_out),
        bytes_(layer.dtype == PK_FLOAT16 ? 2 : 4),
        transposed_(gpu, layer.transpose_weight != 0 ? elements_ * bytes_ : 0) {
    if (layer.transpose_weight == 0) return;
    if (bytes_ == 2)
      transpose<Half>(gpu, layer);
    else
      transpose<float>(gpu, layer);
  }

  pk_convolution of(const pk_convolution& layer) const {
    pk_convolution with = layer;
    if (layer.transpose_weight != 0) with.weight = transposed_.data();
    with.transpose_weight = 0;
    return with;
  }

 private:
  template <typename Element>
  void transpose(const Gpu& gpu, const pk_convolution& layer) {
    const Sizes sizes = {{"weights", layer.kernel_volume}, {"channels in", layer.c_in}, {"channels out", layer.c_out}};
    launch(gpu, sizes, transpose_weights<Element>, blocks(elements_, 256), 256, 0, layer.weight, layer.c_in,
           layer.c_out, elements_, reinterpret_cast<Element*>(transposed_.data()));
  }

  int64_t elements_, bytes_;
  Scratch<unsigned char> transposed_;
};

Pairs pairs_of(const pk_convolution& layer, const pk_prepared_table& prepared) {
  const int64_t total = std::accumulate(prepared.pair_counts, prepared.pair_counts + layer.kernel_volume, int64_t{0});
  return {prepared.pair_begins,
          prepared.pair_inputs,
          prepared.pair_outputs,
          prepared.pair_counts,
          total,
          (layer.n_out + PK_PAIR_TILE - 1) / PK_PAIR_TILE};
}

// Rows without a parent last.
__global__ void key_by_offset(const int32_t* parent, const uint8_t* offset, int64_t n, int volume, uint64_t* keys,
                              int32_t* rows) {
  const int64_t i = global_index();
  if (i >= n) return;
  keys[i] = parent[i] < 0 || offset[i] >= volume ? static_cast<uint64_t>(volume) : offset[i];
  rows[i] = static_cast<int32_t>(i);
}

}  // namespace

void sparse_convolution(const Gpu& gpu, const pk_convolution& layer, const int32_t* table) {
  require_channels(layer);
  const Weights weights(gpu, layer);
  const InputRows inputs = {table, nullptr, nullptr, nullptr, layer.n_in, layer.n_out, layer.kernel_volume};
  implicit_gemm(gpu, weights.of(layer), inputs, choose(gpu, layer));
}

void prepared_convolution(const Gpu& gpu, const pk_convolution& layer, const pk_prepared_table& prepared,
                          const pk_convolution_tuning& tuning) {
  require_channels(layer);
  const Weights weights(gpu, layer);
  Choice choice = choose(gpu, layer);
  if (tuning.tile_columns != 0) choice.tile_rows = tuning.tile_rows, choice.tile_columns = tuning.tile_columns;
  choice.tensor_cores = choice.tensor_cores && tuning.tensor_cores != 0;
  if (tuning.dataflow == PK_DATAFLOW_BY_RULE || tuning.dataflow == PK_IMPLICIT_GEMM) {
    const InputRows inputs = {prepared.table,     nullptr, nullptr, prepared.order, layer.n_in, layer.n_out,
                              layer.kernel_volume};
    return implicit_gemm(gpu, weights.of(layer), inputs, choice);
  }
  const Pairs pairs = pairs_of(layer, prepared);
  if (tuning.dataflow == PK_FETCH_ON_DEMAND) return fetch_on_demand(gpu, weights.of(layer), pairs, choice);
  gather_scatter(gpu, weights.of(layer), pairs, choice, tuning.epsilon, tuning.threshold);
}

// Rows that use the same weight are computed together.
void inverse_convolution(const Gpu& gpu, const pk_convolution& layer, const int32_t* parent, const uint8_t* offset) {
  require_channels(layer);
  const Weights weights(gpu, layer);
  const Scratch<uint64_t> keys(gpu, layer.n_out);
  const Scratch<int32_t> order(gpu, layer.n_out);
  launch(gpu, {{"output rows", layer.n_out}}, key_by_offset, blocks(layer.n_out, 256), 256, 0, parent, offset,
         layer.n_out, layer.kernel_volume, keys.data(), order.data());
  sort_pairs(gpu, keys.data(), order.data(), layer.n_out, bits_of(layer.kernel_volume));
  const InputRows inputs = {nullptr, parent, offset, order.data(), layer.n_in, layer.n_out, layer.kernel_volume};
  implicit_gemm(gpu, weights.of(layer), inputs, choose(gpu, layer));
}

}  // namespace pk::cuda
