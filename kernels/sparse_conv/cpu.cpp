#include <algorithm>
#include <atomic>
#include <numeric>
#include <vector>

#include "common/panels.hpp"
#include "common/threads.hpp"
#include "sparse_conv/arguments.hpp"
#include "sparse_conv/cuda.hpp"
#include "sparse_conv/inner_loops.hpp"
#include "sparse_conv/pair_buffers.hpp"

namespace pk {
namespace {

constexpr int64_t kLargestTile = 256;
constexpr int64_t kSmallestTile = 32;
constexpr int64_t kLargestScratch = 128 * 1024;  // floats a thread: half of an ordinary second cache
constexpr int64_t kSmallestShare = 1 << 18;      // multiplications a thread

// What a thread needs for a tile: its pairs, its sums [panel][row][width], and where features are float16 the input
// rows of one weight as floats.
struct Scratch {
  Scratch(const pk_convolution& layer, int64_t rows, const std::vector<Panel>& panels)
      : pairs(layer.kernel_volume, rows), sums(static_cast<size_t>(rows * sums_of_row(panels))) {
    if (layer.dtype != PK_FLOAT16) return;
    widened.resize(static_cast<size_t>(rows * layer.c_in));
    in_order.resize(static_cast<size_t>(rows));
    std::iota(in_order.begin(), in_order.end(), 0);
  }

  PairBuffers pairs;
  std::vector<float> sums, widened;
  std::vector<int32_t> in_order;  // 0, 1, 2, ...
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

// One weight of a tile: all its panels while its input rows are in the cache.
void multiply_weight(const pk_convolution& layer, const std::vector<Panel>& panels, const PackedWeights& weights,
                     int64_t k, Scratch& scratch) {
  const PairBuffers& pairs = scratch.pairs;
  const int64_t count = pairs.counts[static_cast<size_t>(k)];
  if (count == 0) return;
  const int32_t* inputs = pairs.inputs.data() + k * pairs.tile;
  const float* features = static_cast<const float*>(layer.features);
  if (layer.dtype == PK_FLOAT16) {
    convolution_loops().gather[PK_FLOAT16](
        {layer.features, layer.c_in, inputs, count, layer.c_in, layer.c_in, scratch.widened.data()});
    inputs = scratch.in_order.data();
    features = scratch.widened.data();
  }
  for (size_t p = 0; p < panels.size(); ++p)
    convolution_loops().product[panel_index(panels[p].width)](
        {features, layer.c_in, inputs, pairs.outputs.data() + k * pairs.tile, count, weights.at(p, k),
         scratch.sums.data() + pairs.tile * panels[p].begin});
}

void finish_tile(const pk_convolution& layer, const std::vector<Panel>& panels, int64_t begin, int64_t end,
                 const Scratch& scratch) {
  const int64_t size = layer.dtype == PK_FLOAT16 ? 2 : 4;
  for (const Panel& panel : panels) {
    const int64_t at = (begin * layer.c_out + panel.begin) * size;
    const char* residual = static_cast<const char*>(layer.residual);
    convolution_loops().finish[layer.dtype](
        {scratch.sums.data() + scratch.pairs.tile * panel.begin, end - begin, panel.width, panel.used,
         layer.bias != nullptr ? layer.bias + panel.begin : nullptr, residual != nullptr ? residual + at : nullptr,
         static_cast<char*>(layer.output) + at, layer.c_out, layer.relu != 0});
  }
}

int64_t tile_rows(const pk_convolution& layer, const std::vector<Panel>& panels, int threads) {
  const int64_t floats = sums_of_row(panels) + (layer.dtype == PK_FLOAT16 ? layer.c_in : 0);
  const int64_t wanted = std::min(layer.n_out / (4 * threads), kLargestScratch / floats);
  return std::clamp((wanted + 7) / 8 * 8, kSmallestTile, kLargestTile);
}

// Output-stationary: a tile of output rows collects its pairs, then adds up weight by weight. `collect` fills the pairs
// of rows begin..end and says whether they all exist.
template <typename Collect>
void convolve(const pk_convolution& layer, int threads, const Collect& collect) {
  const std::vector<Panel> panels = cut_panels(layer.c_out, convolution_loops().widest_panel);
  const int64_t tile = tile_rows(layer, panels, threads);
  const int64_t tiles = (layer.n_out + tile - 1) / tile;
  const Weights unpacked{layer.weight, layer.dtype, layer.kernel_volume,
                         layer.c_in,   layer.c_out, layer.transpose_weight != 0};
  const PackedWeights weights(unpacked, panels, threads);
  std::vector<Scratch> scratch(static_cast<size_t>(threads), Scratch(layer, tile, panels));
  std::atomic<bool> good{true};
#pragma omp parallel for num_threads(threads) schedule(dynamic)
  for (int64_t t = 0; t < tiles; ++t) {
    Scratch& mine = scratch[static_cast<size_t>(thread_index())];
    const int64_t begin = t * tile;
    const int64_t end = std::min(begin + tile, layer.n_out);
    if (!collect(begin, end, mine.pairs)) good = false;
    if (!good) continue;
    std::fill(mine.sums.begin(), mine.sums.end(), 0.0F);
    for (int64_t k = 0; k < layer.kernel_volume; ++k) multiply_weight(layer, panels, weights, k, mine);
    finish_tile(layer, panels, begin, end, mine);
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
    pk::convolve(*layer, pk::threads_for(where, *layer, 1), [&](int64_t begin, int64_t end, pk::PairBuffers& pairs) {
      return pk::collect_from_parents(parent, offset, layer->kernel_volume, layer->n_in, begin, end, pairs);
    });
  });
}
}
