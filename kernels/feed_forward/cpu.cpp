#include <algorithm>
#include <cmath>
#include <vector>

#include "common/aligned_floats.hpp"
#include "common/call.hpp"
#include "common/dtype.hpp"
#include "common/gpu.hpp"
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

// Weights [c_out, c_in] as panels [c_in, panel], padded with zeros.
template <typename Stored>
AlignedFloats pack_weights(const pk_linear& layer, int64_t panel, int64_t padded) {
  AlignedFloats packed(padded * layer.c_in);
  std::vector<float> row(static_cast<size_t>(layer.c_in));
  for (int64_t d = 0; d < layer.c_out; ++d) {
    read_row(static_cast<const Stored*>(layer.weight) + d * layer.c_in, row.data(), layer.c_in);
    float* to = packed.data() + d / panel * panel * layer.c_in + d % panel;
    for (int64_t c = 0; c < layer.c_in; ++c) to[c * panel] = row[static_cast<size_t>(c)];
  }
  return packed;
}

// What one thread works in.
struct Workspace {
  Workspace(const pk_linear& layer, int64_t padded, bool widened)
      : sums(kTile * padded), input(widened ? kTile * layer.c_in : 0), residual(layer.c_out) {}
  AlignedFloats sums, input, residual;
};

const float* as_floats(const float* rows, int64_t, AlignedFloats&) { return rows; }
const float* as_floats(const Half* rows, int64_t count, AlignedFloats& room) {
  read_row(rows, room.data(), count);
  return room.data();
}

template <typename Stored>
class DenseLayer {
 public:
  explicit DenseLayer(const pk_linear& layer)
      : layer_(layer),
        panel_(feed_forward_loops().panel),
        padded_((layer.c_out + panel_ - 1) / panel_ * panel_),
        weights_(pack_weights<Stored>(layer, panel_, padded_)) {}

  Workspace workspace() const { return Workspace(layer_, padded_, sizeof(Stored) != sizeof(float)); }

  void run(int64_t begin, int64_t end, Workspace& work) const {
    const float* input = as_floats(static_cast<const Stored*>(layer_.input) + begin * layer_.c_in,
                                   (end - begin) * layer_.c_in, work.input);
    for (int64_t panel = 0; panel < padded_; panel += panel_)
      feed_forward_loops().product(
          {input, weights_.data() + panel * layer_.c_in, work.sums.data() + panel, end - begin, layer_.c_in, padded_});
    for (int64_t row = begin; row < end; ++row) finish(row, work.sums.data() + (row - begin) * padded_, work);
  }

 private:
  void finish(int64_t row, float* sums, Workspace& work) const {
    const int64_t other = layer_.residual_rows != nullptr ? layer_.residual_rows[row] : row;
    const float* residual = nullptr;
    if (layer_.residual != nullptr && other >= 0)
      residual =
          as_floats(static_cast<const Stored*>(layer_.residual) + other * layer_.c_out, layer_.c_out, work.residual);
    feed_forward_loops().finish({layer_.bias, residual, layer_.norm_weight, layer_.norm_bias, layer_.c_out,
                                 layer_.activation, layer_.norm_epsilon},
                                sums);
    write_row(sums, static_cast<Stored*>(layer_.output) + row * layer_.c_out, layer_.c_out);
  }

  const pk_linear& layer_;
  int64_t panel_;
  int64_t padded_;
  AlignedFloats weights_;
};

template <typename Stored>
void run_layer(const pk_linear& layer, int threads) {
  const DenseLayer<Stored> dense(layer);
  const int64_t tiles = (layer.rows + kTile - 1) / kTile;
  std::vector<Workspace> workspaces;
  for (int i = 0; i < threads; ++i) workspaces.push_back(dense.workspace());
#pragma omp parallel for num_threads(threads) schedule(dynamic)
  for (int64_t tile = 0; tile < tiles; ++tile) {
    Workspace& mine = workspaces[static_cast<size_t>(thread_index())];
    dense.run(tile * kTile, std::min(layer.rows, (tile + 1) * kTile), mine);
  }
}

template <typename Stored>
void normalise(const DenseRow& call, const void* input, const void* residual, int64_t rows, void* output, int threads) {
  std::vector<AlignedFloats> rooms(static_cast<size_t>(2 * threads), AlignedFloats(call.channels));
#pragma omp parallel for num_threads(threads) schedule(static)
  for (int64_t row = 0; row < rows; ++row) {
    AlignedFloats* mine = &rooms[static_cast<size_t>(2 * thread_index())];
    const int64_t at = row * call.channels;
    DenseRow what = call;
    read_row(static_cast<const Stored*>(input) + at, mine[0].data(), call.channels);
    if (residual != nullptr)
      what.residual = as_floats(static_cast<const Stored*>(residual) + at, call.channels, mine[1]);
    feed_forward_loops().finish(what, mine[0].data());
    write_row(mine[0].data(), static_cast<Stored*>(output) + at, call.channels);
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

void require_residual_rows(const pk_linear& layer) {
  if (layer.residual == nullptr || layer.residual_rows == nullptr) return;
  for (int64_t row = 0; row < layer.rows; ++row)
    require(layer.residual_rows[row] >= -1 && layer.residual_rows[row] < layer.residual_count,
            "residual_rows names a row that does not exist");
}

}  // namespace
}  // namespace pk

extern "C" {

pk_status pk_linear_layer(const pk_execution* where, const pk_linear* layer) {
  return pk::guarded("linear layer", [&] {
    pk::require_linear(layer);
    if (const pk::Gpu gpu = pk::gpu_of(where)) return PK_CUDA(pk::cuda::linear_layer(gpu, *layer));
    pk::require_residual_rows(*layer);
    const int64_t work = layer->rows * layer->c_in * std::min(layer->c_out, 4096);
    const int threads = pk::useful_threads(pk::cpu_threads(where), work, pk::kSmallestShare);
    pk::with_stored(layer->dtype, [&](auto stored) { pk::run_layer<decltype(stored)>(*layer, threads); });
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
    const pk::DenseRow call{nullptr, nullptr, weight, bias, channels, PK_NO_ACTIVATION, epsilon};
    pk::with_stored(
        dtype, [&](auto stored) { pk::normalise<decltype(stored)>(call, input, residual, rows, output, threads); });
  });
}
}
