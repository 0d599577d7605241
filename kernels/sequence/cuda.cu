#include "common/dtype.hpp"
#include "common/rows.cuh"
#include "sequence/cuda.hpp"

namespace pk::cuda {
namespace {

constexpr int kTile = 64;  // positions of a block
constexpr int kRowsAtOnce = 8;

// The row at a position of the stretch; -1 where there is none.
__device__ inline int64_t row_at(const pk_sequence& call, const Stretch& stretch, int64_t at) {
  if (at < 0 || at >= stretch.tokens) return -1;
  const int64_t row = call.order != nullptr ? call.order[stretch.position + at] : stretch.position + at;
  return row >= 0 && row < call.n_tokens ? row : -1;
}

template <typename Stored>
__device__ inline float gated_value(const pk_sequence& call, int64_t row, int64_t channel) {
  if (row < 0 || channel >= call.channels) return 0.0F;
  const Stored* values = static_cast<const Stored*>(call.gated) + row * 2 * call.channels + channel;
  return to_float(values[0]) / (1.0F + expf(-to_float(values[call.channels])));
}

// A block gates the rows that its positions reach once, for a warp of channels.
template <typename Stored>
__global__ void convolve(pk_sequence call, Stretch stretch) {
  PK_DYNAMIC_SHARED(float, gated);
  const int lane = static_cast<int>(threadIdx.x);
  const int64_t channel = int64_t{blockIdx.y} * kWarp + lane;
  const int64_t first = int64_t{blockIdx.x} * kTile;
  for (int i = static_cast<int>(threadIdx.y); i < kTile + call.kernel_size - 1; i += kRowsAtOnce)
    gated[i * kWarp + lane] =
        gated_value<Stored>(call, row_at(call, stretch, first + i - call.kernel_size / 2), channel);
  __syncthreads();
  if (channel >= call.channels) return;
  for (int i = static_cast<int>(threadIdx.y); i < kTile; i += kRowsAtOnce) {
    const int64_t row = row_at(call, stretch, first + i);
    if (row < 0) continue;
    float sum = 0.0F;
    for (int tap = 0; tap < call.kernel_size; ++tap)
      sum = fmaf(call.kernel[int64_t{tap} * call.channels + channel], gated[(i + tap) * kWarp + lane], sum);
    static_cast<Stored*>(call.output)[row * call.channels + channel] = from_float<Stored>(sum);
  }
}

}  // namespace

void sequence_convolution(const Gpu& gpu, const pk_sequence& call, const std::vector<Stretch>& stretches) {
  const size_t shared_bytes = static_cast<size_t>(kTile + call.kernel_size - 1) * kWarp * sizeof(float);
  with_stored(call.dtype, [&](auto stored) {
    for (const Stretch& stretch : stretches)
      launch(gpu, {{"tokens", stretch.tokens}, {"channels", call.channels}}, convolve<decltype(stored)>,
             dim3(blocks(stretch.tokens, kTile), blocks(call.channels, kWarp)), dim3(kWarp, kRowsAtOnce), shared_bytes,
             call, stretch);
  });
}

}  // namespace pk::cuda
