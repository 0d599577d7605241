#include <algorithm>
#include <numeric>
#include <vector>

#include "common/call.hpp"
#include "common/simd.hpp"
#include "sparse_conv/panels.hpp"

#if defined(_OPENMP)
#include <omp.h>
#endif

namespace pk {
namespace {

constexpr int64_t kChunk = 128;  // pairs whose gradients are laid side by side, so that they stay in the first cache

struct Gradient {
  const float* features;
  int64_t n_in, c_in;
  const float* output_gradient;
  int64_t n_out, c_out;
  const int32_t* table;
  int64_t volume;
  float* weight_gradient;
};

// All pairs of a table, by weight.
struct Pairs {
  std::vector<int64_t> begins;
  std::vector<int32_t> inputs, outputs;
};

Pairs collect(const Gradient& call) {
  Pairs pairs{std::vector<int64_t>(static_cast<size_t>(call.volume + 1)), {}, {}};
  for (int64_t row = 0; row < call.n_out; ++row)
    for (int64_t k = 0; k < call.volume; ++k) {
      const int32_t input = call.table[row * call.volume + k];
      require(input < call.n_in, "the table names an input row that does not exist");
      pairs.begins[static_cast<size_t>(k + 1)] += input >= 0;
    }
  std::partial_sum(pairs.begins.begin(), pairs.begins.end(), pairs.begins.begin());
  // One more: every cell is written to the next free place, and only pairs move that on.
  pairs.inputs.resize(static_cast<size_t>(pairs.begins.back() + 1));
  pairs.outputs.resize(pairs.inputs.size());
  std::vector<int64_t> next(pairs.begins.begin(), pairs.begins.end() - 1);
  for (int64_t row = 0; row < call.n_out; ++row)
    for (int64_t k = 0; k < call.volume; ++k) {
      const int32_t input = call.table[row * call.volume + k];
      if (input < 0) continue;
      const auto at = static_cast<size_t>(next[static_cast<size_t>(k)]++);
      pairs.inputs[at] = input;
      pairs.outputs[at] = static_cast<int32_t>(row);
    }
  return pairs;
}

// One weight, one panel of output channels: the pairs in their order, so that the sum never depends on threads.
void sum_panel(const Gradient& call, const Pairs& pairs, int64_t k, const Panel& panel, float* laid, float* sums) {
  std::fill_n(sums, call.c_in * panel.width, 0.0F);
  const int64_t end = pairs.begins[static_cast<size_t>(k + 1)];
  for (int64_t begin = pairs.begins[static_cast<size_t>(k)]; begin < end; begin += kChunk) {
    const int64_t count = std::min(kChunk, end - begin);
    for (int64_t i = 0; i < count; ++i) {
      const float* row = call.output_gradient + pairs.outputs[static_cast<size_t>(begin + i)] * call.c_out;
      std::copy_n(row + panel.begin, panel.used, laid + i * panel.width);
      std::fill(laid + i * panel.width + panel.used, laid + (i + 1) * panel.width, 0.0F);
    }
    microkernels().outer_product[panel_index(panel.width)](
        {call.features, call.c_in, pairs.inputs.data() + begin, count, laid, sums});
  }
  for (int64_t c = 0; c < call.c_in; ++c)
    std::copy_n(sums + c * panel.width, panel.used,
                call.weight_gradient + (k * call.c_in + c) * call.c_out + panel.begin);
}

void weight_gradient(const Gradient& call, int threads) {
  const Pairs pairs = collect(call);
  const std::vector<Panel> panels = cut_panels(call.c_out, microkernels().widest_panel);
  const auto cuts = static_cast<int64_t>(panels.size());
  const int64_t laid_size = kChunk * microkernels().widest_panel;
  const int64_t size = laid_size + call.c_in * microkernels().widest_panel;
  std::vector<std::vector<float>> scratch(static_cast<size_t>(threads), std::vector<float>(static_cast<size_t>(size)));
#pragma omp parallel for num_threads(threads) schedule(dynamic)
  for (int64_t task = 0; task < call.volume * cuts; ++task) {
#if defined(_OPENMP)
    float* mine = scratch[static_cast<size_t>(omp_get_thread_num())].data();
#else
    float* mine = scratch[0].data();
#endif
    sum_panel(call, pairs, task / cuts, panels[static_cast<size_t>(task % cuts)], mine, mine + laid_size);
  }
}

}  // namespace
}  // namespace pk

extern "C" pk_status pk_weight_gradient(const pk_execution* where, const float* features, int64_t n_in, int32_t c_in,
                                        const float* output_gradient, int64_t n_out, int32_t c_out,
                                        const int32_t* table, int32_t kernel_volume, float* weight_gradient) {
  return pk::guarded("weight gradient", [&] {
    const int threads = pk::cpu_threads(where);
    pk::require_rows(n_in, "input rows");
    pk::require_rows(n_out, "output rows");
    pk::require(kernel_volume >= 1, "the kernel volume must be at least 1");
    pk::require(c_in >= 1 && c_out >= 1, "the numbers of channels must be at least 1");
    pk::require_array(features, n_in, "features");
    pk::require_array(output_gradient, n_out, "output_gradient");
    pk::require_array(table, n_out, "table");
    pk::require_array(weight_gradient, 1, "weight_gradient");
    pk::weight_gradient({features, n_in, c_in, output_gradient, n_out, c_out, table, kernel_volume, weight_gradient},
                        threads);
  });
}
