#include <algorithm>
#include <cmath>
#include <vector>

#include "common/aligned_floats.hpp"
#include "common/call.hpp"
#include "common/dtype.hpp"
#include "common/gpu.hpp"
#include "common/indices.hpp"
#include "common/panels.hpp"
#include "common/threads.hpp"
#include "feed_forward/cuda.hpp"
#include "feed_forward/inner_loops.hpp"
#include "half/loops.hpp"

namespace pk {
namespace {

constexpr int64_t kTile = 96;                // rows: a multiple of every block of rows
constexpr int64_t kSmallestShare = 1 << 18;  // multiplications a thread
constexpr int64_t kSmallestNorm = 1 << 15;   // elements a thread
constexpr int32_t kMostChannels = 65536;

int64_t size_of(int32_t dtype) { return dtype == PK_FLOAT16 ? 2 : 4; }

const void* row_of(const void* rows, int64_t row, int64_t channels, int32_t dtype) {
  return rows == nullptr ? nullptr : static_cast<const char*>(rows) + row * channels * size_of(dtype);
}

// Rows as floats: where they lie, or widened in `room`.
const float* as_floats(const void* rows, int64_t count, int32_t dtype, AlignedFloats& room) {
  if (dtype == PK_FLOAT32) return static_cast<const float*>(rows);
  read_row(static_cast<const Half*>(rows), room.data(), count);
  return room.data();
}

class DenseLayer {
 public:
  // What one thread works in.
  struct Workspace {
    AlignedFloats sums, input;
  };

  DenseLayer(const pk_linear& layer, int threads)
      : layer_(layer),
        panels_(cut_panels(layer.c_out, feed_forward_loops().widest_panel)),
        weights_({layer.weight, layer.dtype, 1, layer.c_in, layer.c_out, true}, panels_, threads) {}

  Workspace workspace() const {
    return {AlignedFloats(kTile * sums_of_row(panels_)),
            AlignedFloats(layer_.dtype == PK_FLOAT16 ? kTile * layer_.c_in : 0)};
  }

  void run(int64_t begin, int64_t end, Workspace& work) const {
    const float* input = input_rows(begin, end, work);
    const int64_t input_step = layer_.dtype == PK_FLOAT16 ? layer_.c_in : layer_.input_step;
    const int64_t step = sums_of_row(panels_);
    for (size_t p = 0; p < panels_.size(); ++p)
      feed_forward_loops().product[panel_index(panels_[p].width)](
          {input, weights_.at(p, 0), work.sums.data() + panels_[p].begin, end - begin, layer_.c_in, input_step, step});
    const bool chosen = layer_.residual_rows != nullptr;
    const auto rows_of = [&](const void* rows, int64_t row) { return row_of(rows, row, layer_.c_out, layer_.dtype); };
    feed_forward_loops().finish[layer_.dtype](
        {work.sums.data(), step, end - begin, layer_.c_out, layer_.bias, rows_of(layer_.residual, chosen ? 0 : begin),
         chosen ? layer_.residual_rows + begin : nullptr, layer_.activation, layer_.norm_weight, layer_.norm_bias,
         layer_.norm_epsilon, const_cast<void*>(rows_of(layer_.output, begin))});
  }

 private:
  // Rows as floats: where they lie, or widened side by side.
  const float* input_rows(int64_t begin, int64_t end, Workspace& work) const {
    const void* first = row_of(layer_.input, begin, layer_.input_step, layer_.dtype);
    if (layer_.dtype == PK_FLOAT32) return static_cast<const float*>(first);
    const auto* halves = static_cast<const Half*>(first);
    if (layer_.input_step == layer_.c_in) return as_floats(halves, (end - begin) * layer_.c_in, PK_FLOAT16, work.input);
    for (int64_t row = 0; row < end - begin; ++row)
      read_row(halves + row * layer_.input_step, work.input.data() + row * layer_.c_in, layer_.c_in);
    return work.input.data();
  }

  const pk_linear& layer_;
  std::vector<Panel> panels_;
  PackedWeights weights_;
};

void run_layer(const pk_linear& layer, int threads) {
  const DenseLayer dense(layer, threads);
  const int64_t tiles = (layer.rows + kTile - 1) / kTile;
  std::vector<DenseLayer::Workspace> workspaces;
  for (int i = 0; i < threads; ++i) workspaces.push_back(dense.workspace());
#pragma omp parallel for num_threads(threads) schedule(dynamic)
  for (int64_t tile = 0; tile < tiles; ++tile) {
    DenseLayer::Workspace& mine = workspaces[static_cast<size_t>(thread_index())];
    dense.run(tile * kTile, std::min(layer.rows, (tile + 1) * kTile), mine);
  }
}

// `call` says what to do with rows of any place and number.
void normalise(const DenseRows& call, const void* input, const void* residual, int64_t rows, int32_t dtype,
               void* output, int threads) {
  std::vector<AlignedFloats> rooms(static_cast<size_t>(threads), AlignedFloats(call.channels));
#pragma omp parallel for num_threads(threads) schedule(static)
  for (int64_t row = 0; row < rows; ++row) {
    AlignedFloats& mine = rooms[static_cast<size_t>(thread_index())];
    const auto row_at = [&](const void* of) { return row_of(of, row, call.channels, dtype); };
    DenseRows what = call;
    const float* floats = as_floats(row_at(input), call.channels, dtype, mine);
    if (floats != mine.data()) copy_row(floats, mine.data(), call.channels);
    what.sums = mine.data();
    what.residual = row_at(residual);
    what.output = const_cast<void*>(row_at(output));
    feed_forward_loops().finish[dtype](what);
  }
}

void require_channels(int32_t channels, const char* sentence) {
  require(channels >= 1 && channels <= kMostChannels, sentence);
}

void require_norm(const float* weight, const float* bias, float epsilon) {
  require_array(weight, 1, "the weight of the norm");
  require_array(bias, 1, "the bias of the norm");
  require(std::isfinite(epsilon) && epsilon > 0, "the epsilon of the norm must be a positive number");
}

void require_linear(const pk_linear* layer) {
  require(layer != nullptr, "layer is null");
  require_rows(layer->rows, "rows");
  require_rows(layer->residual_count, "residual rows");
  require_channels(layer->c_in, "c_in must lie in 1..65536");
  require_channels(layer->c_out, "c_out must lie in 1..65536");
  require(layer->input_step >= layer->c_in && layer->input_step <= INT32_MAX,
          "input_step is shorter than a row, or too large");
  require_dtype(layer->dtype);
  require(layer->activation >= PK_NO_ACTIVATION && layer->activation <= PK_GELU, "there is no such activation");
  require_array(layer->input, layer->rows, "input");
  require_array(layer->weight, 1, "weight");
  require_array(layer->output, layer->rows, "output");
  if (layer->norm_weight != nullptr) require_norm(layer->norm_weight, layer->norm_bias, layer->norm_epsilon);
  if (layer->residual == nullptr) return;
  require(layer->residual_rows != nullptr || layer->residual_count == layer->rows,
          "without residual_rows there must be as many residual rows as rows");
}

}  // namespace
}  // namespace pk

extern "C" {

pk_status pk_linear_layer(const pk_execution* where, const pk_linear* layer) {
  return pk::guarded("linear layer", [&] {
    pk::require_linear(layer);
    if (const pk::Gpu gpu = pk::gpu_of(where)) return PK_CUDA(pk::cuda::linear_layer(gpu, *layer));
    const int64_t work = layer->rows * layer->c_in * std::min(layer->c_out, 4096);
    const int threads = pk::useful_threads(pk::cpu_threads(where), work, pk::kSmallestShare);
    if (layer->residual != nullptr && layer->residual_rows != nullptr)
      pk::require_indices(layer->residual_rows, layer->rows, layer->residual_count, threads,
                          "residual_rows names a row that does not exist");
    pk::run_layer(*layer, threads);
  });
}

pk_status pk_layer_norm(const pk_execution* where, const void* input, const void* residual, const float* weight,
                        const float* bias, int64_t rows, int32_t channels, float epsilon, int32_t dtype, void* output) {
  return pk::guarded("layer norm", [&] {
    pk::require_rows(rows, "rows");
    pk::require_channels(channels, "channels must lie in 1..65536");
    pk::require_dtype(dtype);
    pk::require_norm(weight, bias, epsilon);
    pk::require_array(input, rows, "input");
    pk::require_array(output, rows, "output");
    if (const pk::Gpu gpu = pk::gpu_of(where))
      return PK_CUDA(
          pk::cuda::layer_norm(gpu, {input, residual, weight, bias, rows, channels, epsilon, dtype, output}));
    const int threads = pk::useful_threads(pk::cpu_threads(where), rows * channels, pk::kSmallestNorm);
    pk::DenseRows call{};
    call.rows = 1;
    call.channels = channels;
    call.norm_weight = weight;
    call.norm_bias = bias;
    call.norm_epsilon = epsilon;
    pk::normalise(call, input, residual, rows, dtype, output, threads);
  });
}
}
