#include <algorithm>
#include <atomic>
#include <vector>

#include "common/panels.hpp"
#include "common/threads.hpp"
#include "sparse_conv/arguments.hpp"
#include "sparse_conv/cuda.hpp"
#include "sparse_conv/inner_loops.hpp"
#include "sparse_conv/pair_buffers.hpp"

namespace pk {
namespace {

constexpr int64_t kTile = 512;              // rows whose pairs are collected by one thread
constexpr int64_t kLargestChunk = 1 << 20;  // cells of the table whose pairs are held at once, 8 bytes each
constexpr int64_t kBatch = 128;             // pairs whose features and gradients stay in the first cache
constexpr int64_t kBlock = 32;              // input channels of a task
constexpr int64_t kSharesOfThread = 4;

// The sums [weight][panel][c_in][width], padded like the panels. A unit of work is one weight and one block of input
// channels; one thread adds up all its rows in order, so that no sum depends on the number of threads.
class WeightGradient {
 public:
  WeightGradient(const pk_convolution_gradient& call, const int32_t* table, int threads)
      : call_(call),
        table_(table),
        threads_(threads),
        panels_(cut_panels(call.c_out, convolution_loops().widest_panel)),
        blocks_((call.c_in + kBlock - 1) / kBlock),
        sums_of_row_(sums_of_row(panels_)),
        sums_(static_cast<size_t>(call.kernel_volume * call.c_in * sums_of_row_)),
        tiles_(static_cast<size_t>(tiles_at_once()), PairBuffers(call.kernel_volume, kTile)) {}

  void run() {
    const int64_t chunk = static_cast<int64_t>(tiles_.size()) * kTile;
    for (int64_t begin = 0; begin < call_.n_out; begin += chunk) {
      const int64_t end = std::min(begin + chunk, call_.n_out);
      collect(begin, end);
      add(begin, (end - begin + kTile - 1) / kTile);
    }
    write();
  }

 private:
  // Some pairs of one weight: features of one block of channels, gradients [panel][pair][width].
  struct Batch {
    explicit Batch(int64_t sums_of_row)
        : features(static_cast<size_t>(kBatch * kBlock)), gradient(static_cast<size_t>(kBatch * sums_of_row)) {}
    std::vector<float> features, gradient;
  };

  int64_t tiles_at_once() const {
    const int64_t all = (call_.n_out + kTile - 1) / kTile;
    return std::clamp<int64_t>(kLargestChunk / (kTile * call_.kernel_volume), 1, std::max<int64_t>(all, 1));
  }

  void collect(int64_t begin, int64_t end) {
    std::atomic<bool> good{true};
#pragma omp parallel for num_threads(threads_) schedule(dynamic)
    for (int64_t row = begin; row < end; row += kTile) {
      PairBuffers& tile = tiles_[static_cast<size_t>((row - begin) / kTile)];
      if (!tile.collect(table_, row, std::min(row + kTile, end), call_.n_in)) good = false;
    }
    require(good, "the table names an input row that does not exist");
  }

  // Shares of about the same number of pairs, more than threads, so that a thread that is held up holds nobody up.
  void add(int64_t begin, int64_t tiles) {
    const std::vector<int64_t> pairs_before = count_pairs(tiles);
    const int64_t shares = threads_ == 1 ? 1 : kSharesOfThread * threads_;
    const int64_t share = pairs_before.back() / shares + 1;
#pragma omp parallel num_threads(threads_)
    {
      Batch batch(sums_of_row_);
#pragma omp for schedule(dynamic)
      for (int64_t s = 0; s < shares; ++s) {
        const int64_t first = unit_at(pairs_before, s * share);
        const int64_t last = unit_at(pairs_before, (s + 1) * share);
        for (int64_t t = 0; t < tiles; ++t) add_units(begin + t * kTile, t, first, last, batch);
      }
    }
  }

  // The pairs of all units before each one.
  std::vector<int64_t> count_pairs(int64_t tiles) const {
    std::vector<int64_t> before(static_cast<size_t>(call_.kernel_volume * blocks_ + 1));
    for (int64_t unit = 0; unit < call_.kernel_volume * blocks_; ++unit) {
      int64_t count = 0;
      for (int64_t t = 0; t < tiles; ++t)
        count += tiles_[static_cast<size_t>(t)].counts[static_cast<size_t>(unit / blocks_)];
      before[static_cast<size_t>(unit + 1)] = before[static_cast<size_t>(unit)] + count;
    }
    return before;
  }

  static int64_t unit_at(const std::vector<int64_t>& pairs_before, int64_t pair) {
    return std::lower_bound(pairs_before.begin(), pairs_before.end() - 1, pair) - pairs_before.begin();
  }

  // The units first..last of a tile, weight by weight.
  void add_units(int64_t first_row, int64_t t, int64_t first, int64_t last, Batch& batch) {
    const PairBuffers& tile = tiles_[static_cast<size_t>(t)];
    for (int64_t unit = first; unit < last;) {
      const int64_t k = unit / blocks_;
      const int64_t next = std::min(last, (k + 1) * blocks_);
      const int64_t count = tile.counts[static_cast<size_t>(k)];
      for (int64_t i = 0; i < count; i += kBatch) {
        const int64_t at = k * kTile + i;
        const int64_t pairs = std::min(kBatch, count - i);
        gather_gradients(tile.outputs.data() + at, pairs, first_row, batch);
        for (int64_t block = unit; block < next; ++block)
          add_block(tile.inputs.data() + at, pairs, k, block % blocks_ * kBlock, batch);
      }
      unit = next;
    }
  }

  void gather_gradients(const int32_t* rows, int64_t count, int64_t first_row, Batch& batch) const {
    for (const Panel& panel : panels_)
      convolution_loops().gather[call_.dtype]({at(call_.output_gradient, first_row * call_.c_out + panel.begin),
                                               call_.c_out, rows, count, panel.used, panel.width,
                                               batch.gradient.data() + kBatch * panel.begin});
  }

  void add_block(const int32_t* rows, int64_t count, int64_t k, int64_t channel, Batch& batch) {
    const int64_t channels = std::min(kBlock, call_.c_in - channel);
    convolution_loops().gather[call_.dtype](
        {at(call_.features, channel), call_.c_in, rows, count, channels, channels, batch.features.data()});
    for (const Panel& panel : panels_)
      convolution_loops().outer_product[panel_index(panel.width)](
          {batch.features.data(), batch.gradient.data() + kBatch * panel.begin, count, channels,
           sums_of(k, panel) + channel * panel.width});
  }

  const void* at(const void* values, int64_t index) const {
    return static_cast<const char*>(values) + index * (call_.dtype == PK_FLOAT16 ? 2 : 4);
  }

  float* sums_of(int64_t k, const Panel& panel) { return sums_.data() + (k * sums_of_row_ + panel.begin) * call_.c_in; }

  void write() {
#pragma omp parallel for num_threads(threads_) schedule(static)
    for (int64_t k = 0; k < call_.kernel_volume; ++k)
      for (const Panel& panel : panels_)
        for (int64_t c = 0; c < call_.c_in; ++c)
          std::copy_n(sums_of(k, panel) + c * panel.width, panel.used,
                      call_.weight_gradient + (k * call_.c_in + c) * call_.c_out + panel.begin);
  }

  const pk_convolution_gradient& call_;
  const int32_t* table_;
  const int threads_;
  const std::vector<Panel> panels_;
  const int64_t blocks_, sums_of_row_;
  std::vector<float> sums_;
  std::vector<PairBuffers> tiles_;
};

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
    pk::WeightGradient(*gradient, table, pk::cpu_threads(where)).run();
  });
}
