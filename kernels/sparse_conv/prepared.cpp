#include "sparse_conv/arguments.hpp"
#include "sparse_conv/cuda.hpp"

namespace pk {
namespace {

void require_tuning(const pk_convolution_tuning& tuning) {
  require(tuning.dataflow >= PK_DATAFLOW_BY_RULE && tuning.dataflow <= PK_GATHER_SCATTER, "there is no such dataflow");
  const bool wide = tuning.tile_rows == 128 && tuning.tile_columns == 128;
  const bool narrow =
      tuning.tile_rows == 64 && (tuning.tile_columns == 32 || tuning.tile_columns == 64 || tuning.tile_columns == 96);
  const bool by_rule = tuning.tile_columns == 0;
  require(by_rule || narrow || wide, "tiles are 64 x 32, 64 x 64, 64 x 96 or 128 x 128");
  require(tuning.epsilon >= 0.0F && tuning.epsilon <= 1.0F, "epsilon must lie in 0..1");
  require(tuning.threshold >= 0, "the threshold must not be negative");
}

void require_pairs(const pk_prepared_table& prepared, int64_t n_out, int32_t volume) {
  require(prepared.pair_begins != nullptr && prepared.pair_counts != nullptr,
          "this dataflow needs the pairs of the table (pk_count_pairs, pk_list_pairs)");
  int64_t total = 0;
  for (int32_t k = 0; k < volume; ++k) {
    require(prepared.pair_counts[k] >= 0 && prepared.pair_counts[k] <= n_out,
            "a weight has as many pairs as there are output rows, or fewer");
    total += prepared.pair_counts[k];
  }
  require(total <= INT32_MAX, "2^31 pairs or more");
  require_array(prepared.pair_inputs, total, "pair inputs");
  require_array(prepared.pair_outputs, total, "pair outputs");
}

}  // namespace
}  // namespace pk

extern "C" {

pk_status pk_prepared_convolution(const pk_execution* where, const pk_convolution* layer,
                                  const pk_prepared_table* prepared, const pk_convolution_tuning* tuning) {
  if (where == nullptr || where->device == PK_DEVICE_CPU) {
    if (prepared == nullptr) return pk::fail(PK_INVALID_ARGUMENT, "sparse convolution: prepared is null");
    return pk_sparse_convolution(where, layer, prepared->table);
  }
  return pk::guarded("sparse convolution", [&] {
    pk::require_layer(layer);
    pk::require(prepared != nullptr, "prepared is null");
    pk::require_array(prepared->table, layer->n_out, "table");
    const pk_convolution_tuning chosen = tuning != nullptr ? *tuning : pk_convolution_tuning{0, 0, 0, 1, 0.0F, 0};
    pk::require_tuning(chosen);
    if (chosen.dataflow == PK_FETCH_ON_DEMAND || chosen.dataflow == PK_GATHER_SCATTER)
      pk::require_pairs(*prepared, layer->n_out, layer->kernel_volume);
    if (const pk::Gpu gpu = pk::gpu_of(where))
      return PK_CUDA(pk::cuda::prepared_convolution(gpu, *layer, *prepared, chosen));
  });
}
}
