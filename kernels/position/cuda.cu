#include "common/dtype.hpp"
#include "common/rows.cuh"
#include "position/cuda.hpp"

namespace pk::cuda {
namespace {

template <typename Stored>
__global__ void add_positions(Position call) {
  const int64_t row = row_of_thread();
  if (row >= call.n) return;
  const int32_t* cell = call.coords + 3 * row;
  for (int64_t channel = threadIdx.x; channel < 2 * int64_t{call.half}; channel += blockDim.x) {
    const int32_t place = cell[channel < call.half ? 2 : 1];  // x, then y
    const int64_t at = row * 2 * call.half + channel;
    const auto* features = static_cast<const Stored*>(call.features);
    float value = features != nullptr ? to_float(features[row * call.step + channel]) : 0.0F;
    if (place >= 0 && place < call.length) value += call.table[int64_t{place} * call.half + channel % call.half];
    static_cast<Stored*>(call.output)[at] = from_float<Stored>(value);
  }
}

}  // namespace

void add_position(const Gpu& gpu, const Position& call) {
  const int64_t channels = 2 * int64_t{call.half};
  with_stored(call.dtype, [&](auto stored) {
    launch(gpu, {{"cells", call.n}, {"channels", channels}}, add_positions<decltype(stored)>,
           row_grid(call.n, channels), row_block(channels), 0, call);
  });
}

}  // namespace pk::cuda
