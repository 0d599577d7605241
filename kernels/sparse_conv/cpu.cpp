#include <algorithm>
#include <atomic>
#include <vector>

#include "sparse_conv/arguments.hpp"
#include "sparse_conv/cuda.hpp"
#include "sparse_conv/inner_loops.hpp"
#include "sparse_conv/pair_buffers.hpp"
#include "sparse_conv/panels.hpp"

#if defined(_OPENMP)
#include <omp.h>
#endif

namespace pk {
namespace {

constexpr int64_t kLargestTile = 256;
constexpr int64_t kSmallestTile = 32;
constexpr int64_t kSmallestShare = 1 << 18;  // multiplications a thread

struct Scratch {
  Scratch(int64_t volume, int64_t rows, int widest) : pairs(volume, rows), sums(static_cast<size_t>(rows * widest)) {}

  PairBuffers pairs;
  std::vector<float> sums;
};

bool collect_from_parents(const int32_t* parent, const uint8_t* offset, int64_t volume, int64_t n_in, int64_t begin,
                          int64_t end, PairBuffers& pairs) {
  std::fill(pairs.counts.begin(), pairs.counts.end(), 0);
  for (int64_t row = begin; row < end; ++row) {
    if (parent[row] < 0) continue;
    if (parent[row] >= n_in || offset[row] >= volume) return false;
    const int64_t at = offset[row] * pairs.tile + pairs.counts[offset[row]]++;
    pairs.inputs[static_cast<size_t>(at)] = parent[row];
    pairs.outputs[static_cast<size_t>(at)] = static_cast<int32_t>(row - begin);
  }
  return true;
}

void write_panel(const pk_convolution& layer, const Panel& panel, int64_t begin, int64_t end, const float* sums) {
  for (int64_t row = begin; row < end; ++row, sums += panel.width) {
    const int64_t at = row * layer.c_out + panel.begin;
    float* out = static_cast<float*>(layer.output) + at;
    for (int c = 0; c < panel.used; ++c) out[c] = sums[c];
    if (layer.bias != nullptr)
      for (int c = 0; c < panel.used; ++c) out[c] += layer.bias[panel.begin + c];
    if (layer.residual != nullptr)
      for (int c = 0; c < panel.used; ++c) out[c] += static_cast<const float*>(layer.residual)[at + c];
    if (layer.relu != 0)
      for (int c = 0; c < panel.used; ++c) out[c] = out[c] < 0.0F ? 0.0F : out[c];
  }
}

void multiply_tile(const pk_convolution& layer, const std::vector<Panel>& panels, const PackedWeights& weights,
                   int64_t begin, int64_t end, Scratch& scratch) {
  const PairBuffers& pairs = scratch.pairs;
  for (size_t p = 0; p < panels.size(); ++p) {
    std::fill_n(scratch.sums.data(), (end - begin) * panels[p].width, 0.0F);
    const auto product = convolution_loops().product[panel_index(panels[p].width)];
    for (int64_t k = 0; k < layer.kernel_volume; ++k) {
      const int64_t count = pairs.counts[static_cast<size_t>(k)];
      if (count == 0) continue;
      product({static_cast<const float*>(layer.features), layer.c_in, pairs.inputs.data() + k * pairs.tile,
               pairs.outputs.data() + k * pairs.tile, count, weights.at(p, k), scratch.sums.data()});
    }
    write_panel(layer, panels[p], begin, end, scratch.sums.data());
  }
}

int64_t tile_rows(int64_t n_out, int threads) {
  const int64_t wanted = n_out / (4 * threads);
  return std::clamp((wanted + 7) / 8 * 8, kSmallestTile, kLargestTile);
}

// Output-stationary: a tile of output rows collects its pairs, then adds up weight by weight. `collect` fills the pairs
// of rows begin..end and says whether they all exist.
template <typename Collect>
void convolve(const pk_convolution& layer, int threads, const Collect& collect) {
  const std::vector<Panel> panels = cut_panels(layer.c_out, convolution_loops().widest_panel);
  const int64_t tile = tile_rows(layer.n_out, threads);
  const int64_t tiles = (layer.n_out + tile - 1) / tile;
  const PackedWeights weights(static_cast<const float*>(layer.weight), layer.kernel_volume, layer.c_in, layer.c_out,
                              layer.transpose_weight != 0, panels, threads);
  std::vector<Scratch> scratch(static_cast<size_t>(threads),
                               Scratch(layer.kernel_volume, tile, convolution_loops().widest_panel));
  std::atomic<bool> good{true};
#pragma omp parallel for num_threads(threads) schedule(dynamic)
  for (int64_t t = 0; t < tiles; ++t) {
#if defined(_OPENMP)
    Scratch& mine = scratch[static_cast<size_t>(omp_get_thread_num())];
#else
    Scratch& mine = scratch[0];
#endif
    const int64_t begin = t * tile;
    const int64_t end = std::min(begin + tile, layer.n_out);
    if (collect(begin, end, mine.pairs))
      multiply_tile(layer, panels, weights, begin, end, mine);
    else
      good = false;
  }
  require(good, "the table names an input row or weight that does not exist");
}

int threads_for(const pk_execution* where, const pk_convolution& layer, int64_t pairs_a_row) {
  return useful_threads(cpu_threads(where), layer.n_out * pairs_a_row * layer.c_in * layer.c_out, kSmallestShare);
}

}  // namespace
}  // namespace pk

extern "C" {

pk_status pk_sparse_convolution(const pk_execution* where, const pk_convolution* layer, const int32_t* table) {
  return pk::guarded("sparse convolution", [&] {
    pk::require_layer(layer);
    pk::require_array(table, layer->n_out, "table");
    if (const pk::Gpu gpu = pk::gpu_of(where)) return PK_CUDA(pk::cuda::sparse_convolution(gpu, *layer, table));
    pk::require_float32(layer->dtype);
    pk::convolve(*layer, pk::threads_for(where, *layer, 8), [&](int64_t begin, int64_t end, pk::PairBuffers& pairs) {
      return pairs.collect(table, begin, end, layer->n_in);
    });
  });
}

pk_status pk_inverse_convolution(const pk_execution* where, const pk_convolution* layer, const int32_t* parent,
                                 const uint8_t* offset) {
  return pk::guarded("inverse convolution", [&] {
    pk::require_layer(layer);
    pk::require_array(parent, layer->n_out, "parent");
    pk::require_array(offset, layer->n_out, "offset");
    if (const pk::Gpu gpu = pk::gpu_of(where))
      return PK_CUDA(pk::cuda::inverse_convolution(gpu, *layer, parent, offset));
    pk::require_float32(layer->dtype);
    pk::convolve(*layer, pk::threads_for(where, *layer, 1), [&](int64_t begin, int64_t end, pk::PairBuffers& pairs) {
      return pk::collect_from_parents(parent, offset, layer->kernel_volume, layer->n_in, begin, end, pairs);
    });
  });
}
}
