#include "common/rows.cuh"
#include "pillars/cuda.hpp"

namespace pk::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kChannels = 32;  // channels of a thread, channels first

// A cell that occurs twice keeps its last row.
__global__ void find_rows(PillarMap call, int32_t* rows) {
  const int64_t row = global_index();
  if (row >= call.n) return;
  const int32_t* cell = call.coords + 3 * row;
  if (cell[0] < 0 || cell[0] >= call.n_batches || cell[1] < 0 || cell[1] >= call.height || cell[2] < 0 ||
      cell[2] >= call.width)
    return;
  const int64_t at = (int64_t{cell[0]} * call.height + cell[1]) * call.width + cell[2];
  atomicMax(rows + at, static_cast<int32_t>(row));
}

// Neighbouring threads write neighbouring cells of a channel.
template <typename Bits>
__global__ void write_channels_first(PillarMap call, const int32_t* rows) {
  const int64_t at = global_index();
  if (at >= call.cells()) return;
  const int64_t plane = int64_t{call.height} * call.width;
  const int64_t row = rows[at];
  const int64_t begin = int64_t{blockIdx.y} * kChannels;
  for (int64_t channel = begin; channel < begin + kChannels && channel < call.channels; ++channel) {
    const Bits value = row >= 0 ? static_cast<const Bits*>(call.features)[row * call.channels + channel] : Bits{0};
    static_cast<Bits*>(call.map)[(at / plane * call.channels + channel) * plane + at % plane] = value;
  }
}

template <typename Bits>
__global__ void write_channels_last(PillarMap call, const int32_t* rows) {
  const int64_t at = row_of_thread();
  if (at >= call.cells()) return;
  const int64_t row = rows[at];
  for (int64_t channel = threadIdx.x; channel < call.channels; channel += blockDim.x) {
    const Bits value = row >= 0 ? static_cast<const Bits*>(call.features)[row * call.channels + channel] : Bits{0};
    static_cast<Bits*>(call.map)[at * call.channels + channel] = value;
  }
}

template <typename Bits>
void write_map(const Gpu& gpu, const PillarMap& call, const int32_t* rows) {
  const Sizes sizes{{"cells", call.cells()}, {"channels", call.channels}};
  if (call.layout == PK_CHANNELS_LAST)
    return launch(gpu, sizes, write_channels_last<Bits>, row_grid(call.cells(), call.channels),
                  row_block(call.channels), 0, call, rows);
  const dim3 grid(blocks(call.cells(), kThreads), blocks(call.channels, kChannels));
  launch(gpu, sizes, write_channels_first<Bits>, grid, kThreads, 0, call, rows);
}

}  // namespace

void pillars_to_map(const Gpu& gpu, const PillarMap& call) {
  const Scratch<int32_t> rows(gpu, call.cells());
  fill_bytes(gpu, rows.data(), 0xFF, 4 * call.cells());
  launch(gpu, {{"pillars", call.n}}, find_rows, blocks(call.n, kThreads), kThreads, 0, call, rows.data());
  call.dtype == PK_FLOAT16 ? write_map<uint16_t>(gpu, call, rows.data()) : write_map<uint32_t>(gpu, call, rows.data());
}

}  // namespace pk::cuda
