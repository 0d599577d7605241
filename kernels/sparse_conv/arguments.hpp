// Checks of what a caller passes, shared by the entry points of both directions.
#pragma once

#include "common/call.hpp"
#include "common/dtype.hpp"

namespace pk {

// No product of sizes overflows an int64 below these, and no scratch memory is absurd.
constexpr int32_t kLargestVolume = 4096;
constexpr int32_t kMostChannels = 65536;

// What the forward and the backward call have in common: sizes, dtype and features.
template <typename Call>
void require_shape(const Call& call) {
  require_rows(call.n_in, "input rows");
  require_rows(call.n_out, "output rows");
  require(call.kernel_volume >= 1 && call.kernel_volume <= kLargestVolume, "the kernel volume must lie in 1..4096");
  require(call.c_in >= 1 && call.c_in <= kMostChannels && call.c_out >= 1 && call.c_out <= kMostChannels,
          "the numbers of channels must lie in 1..65536");
  require_dtype(call.dtype);
  require_array(call.features, call.n_in, "features");
}

inline void require_layer(const pk_convolution* layer) {
  require(layer != nullptr, "layer is null");
  require_shape(*layer);
  require_array(layer->weight, 1, "weight");
  require_array(layer->output, layer->n_out, "output");
}

}  // namespace pk
