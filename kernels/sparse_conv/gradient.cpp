#include <algorithm>
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

constexpr int64_t kTile = 512;               // rows whose features stay in the second cache while weights take turns
constexpr int64_t kLargestSums = 64 * 1024;  // floats that a task adds up at once

struct Gradient {
  const float* features;
  int64_t n_in, c_in;
  const float* output_gradient;
  int64_t n_out, c_out;
  const int32_t* table;
  int64_t volume;
  float* weight_gradient;
};

// The pairs of all tiles, by tile and weight.
struct Pairs {
  std::vector<int64_t> begins;  // of tile t and weight k at t * volume + k
  std::vector<int32_t> inputs, outputs;
};

Pairs collect(const Gradient& call) {
  const int64_t tiles = (call.n_out + kTile - 1) / kTile;
  Pairs pairs{std::vector<int64_t>(static_cast<size_t>(tiles * call.volume + 1)), {}, {}};
  PairBuffers tile(call.volume, kTile);
  for (int64_t t = 0; t < tiles; ++t) {
    const int64_t begin = t * kTile;
    const bool good = tile.collect(call.table, begin, std::min(begin + kTile, call.n_out), call.n_in);
    require(good, "the table names an input row that does not exist");
    for (int64_t k = 0; k < call.volume; ++k) {
      const auto from = tile.inputs.begin() + k * kTile;
      const int64_t count = tile.counts[static_cast<size_t>(k)];
      pairs.inputs.insert(pairs.inputs.end(), from, from + count);
      for (int64_t i = 0; i < count; ++i)
        pairs.outputs.push_back(static_cast<int32_t>(begin + tile.outputs[static_cast<size_t>(k * kTile + i)]));
      pairs.begins[static_cast<size_t>(t * call.volume + k + 1)] = static_cast<int64_t>(pairs.inputs.size());
    }
  }
  return pairs;
}

// Lay the gradients of one panel side by side, padded with zeros.
void lay(const Gradient& call, const Panel& panel, const int32_t* outputs, int64_t count, float* laid) {
  for (int64_t i = 0; i < count; ++i, laid += panel.width) {
    std::copy_n(call.output_gradient + outputs[i] * call.c_out + panel.begin, panel.used, laid);
    std::fill(laid + panel.used, laid + panel.width, 0.0F);
  }
}

// What a thread works with: sums [weight][panel][c_in][width] of the weights of its task.
struct Scratch {
  std::vector<float> laid, sums;
};

void add_tile(const Gradient& call, const Pairs& pairs, const std::vector<Panel>& panels, int64_t at, float* sums,
              float* laid) {
  const int64_t begin = pairs.begins[static_cast<size_t>(at)];
  const int64_t count = pairs.begins[static_cast<size_t>(at) + 1] - begin;
  if (count == 0) return;
  for (const Panel& panel : panels) {
    lay(call, panel, pairs.outputs.data() + begin, count, laid);
    convolution_loops().outer_product[panel_index(panel.width)](
        {call.features, call.c_in, pairs.inputs.data() + begin, count, laid, sums});
    sums += call.c_in * panel.width;
  }
}

void write_weight(const Gradient& call, const std::vector<Panel>& panels, int64_t k, const float* sums) {
  for (const Panel& panel : panels)
    for (int64_t c = 0; c < call.c_in; ++c, sums += panel.width)
      std::copy_n(sums, panel.used, call.weight_gradient + (k * call.c_in + c) * call.c_out + panel.begin);
}

int64_t sums_of_weight(const Gradient& call, const std::vector<Panel>& panels) {
  return call.c_in * (panels.back().begin + panels.back().width);
}

// Weights begin..end, tile by tile in order, so that no sum depends on the number of threads.
void sum_weights(const Gradient& call, const Pairs& pairs, const std::vector<Panel>& panels, int64_t begin, int64_t end,
                 Scratch& scratch) {
  const int64_t size = sums_of_weight(call, panels);
  const int64_t tiles = (static_cast<int64_t>(pairs.begins.size()) - 1) / call.volume;
  std::fill(scratch.sums.begin(), scratch.sums.end(), 0.0F);
  for (int64_t t = 0; t < tiles; ++t)
    for (int64_t k = begin; k < end; ++k)
      add_tile(call, pairs, panels, t * call.volume + k, scratch.sums.data() + (k - begin) * size, scratch.laid.data());
  for (int64_t k = begin; k < end; ++k) write_weight(call, panels, k, scratch.sums.data() + (k - begin) * size);
}

void weight_gradient(const Gradient& call, int threads) {
  const Pairs pairs = collect(call);
  const std::vector<Panel> panels = cut_panels(call.c_out, convolution_loops().widest_panel);
  const int64_t size = sums_of_weight(call, panels);
  const int64_t fair = std::max<int64_t>(call.volume / (4 * threads), 1);
  const int64_t step = std::clamp<int64_t>(kLargestSums / size, 1, fair);
  std::vector<Scratch> scratch(static_cast<size_t>(threads));
  for (Scratch& mine : scratch) {
    mine.laid.resize(static_cast<size_t>(kTile * convolution_loops().widest_panel));
    mine.sums.resize(static_cast<size_t>(step * size));
  }
#pragma omp parallel for num_threads(threads) schedule(dynamic)
  for (int64_t begin = 0; begin < call.volume; begin += step) {
#if defined(_OPENMP)
    Scratch& mine = scratch[static_cast<size_t>(omp_get_thread_num())];
#else
    Scratch& mine = scratch[0];
#endif
    sum_weights(call, pairs, panels, begin, std::min(begin + step, call.volume), mine);
  }
}

}  // namespace
}  // namespace pk

extern "C" pk_status pk_weight_gradient(const pk_execution* where, const pk_convolution_gradient* gradient,
                                        const int32_t* table) {
  return pk::guarded("weight gradient", [&] {
    pk::require(gradient != nullptr, "gradient is null");
    pk::require_shape(*gradient);
    pk::require_array(gradient->output_gradient, gradient->n_out, "output_gradient");
    pk::require_array(gradient->weight_gradient, 1, "weight_gradient");
    pk::require_array(table, gradient->n_out, "table");
    if (const pk::Gpu gpu = pk::gpu_of(where)) return PK_CUDA(pk::cuda::weight_gradient(gpu, *gradient, table));
    pk::require_float32(gradient->dtype);
    pk::weight_gradient({static_cast<const float*>(gradient->features), gradient->n_in, gradient->c_in,
                         static_cast<const float*>(gradient->output_gradient), gradient->n_out, gradient->c_out, table,
                         gradient->kernel_volume, gradient->weight_gradient},
                        pk::cpu_threads(where));
  });
}
