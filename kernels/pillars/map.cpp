#include <algorithm>
#include <string>
#include <vector>

#include "common/call.hpp"
#include "common/dtype.hpp"
#include "common/gpu.hpp"
#include "pillars/checks.hpp"
#include "pillars/cuda.hpp"

namespace pk {
namespace {

constexpr int64_t kSmallestShare = 1 << 17;  // elements of the map a thread

// The row of features at each cell, -1 for none.
std::vector<int32_t> rows_of_cells(const PillarMap& call) {
  std::vector<int32_t> rows(static_cast<size_t>(call.cells()), -1);
  for (int64_t row = 0; row < call.n; ++row) {
    const int32_t* cell = call.coords + 3 * row;
    if (cell[0] < 0 || cell[0] >= call.n_batches || cell[1] < 0 || cell[1] >= call.height || cell[2] < 0 ||
        cell[2] >= call.width)
      throw Failure(PK_OUT_OF_RANGE, "pillar " + std::to_string(row) + " lies outside the map");
    const int64_t at = (int64_t{cell[0]} * call.height + cell[1]) * call.width + cell[2];
    rows[static_cast<size_t>(at)] = static_cast<int32_t>(row);
  }
  return rows;
}

// The occupied cells of a line.
struct Occupied {
  std::vector<int64_t> begins;  // [lines + 1]
  std::vector<int32_t> x;
};

Occupied occupied_cells(const PillarMap& call, const std::vector<int32_t>& rows) {
  Occupied occupied;
  for (size_t cell = 0; cell < rows.size(); ++cell) {
    const auto x = static_cast<int32_t>(cell % static_cast<size_t>(call.width));
    if (x == 0) occupied.begins.push_back(static_cast<int64_t>(occupied.x.size()));
    if (rows[cell] >= 0) occupied.x.push_back(x);
  }
  occupied.begins.push_back(static_cast<int64_t>(occupied.x.size()));
  return occupied;
}

// One line of cells of every channel. Values are only moved, so that their bits may have any type.
template <typename Bits>
void write_channels_first(const PillarMap& call, int64_t line, const int32_t* rows, const Occupied& occupied) {
  const auto* features = static_cast<const Bits*>(call.features);
  const int64_t batch = line / call.height;
  const int64_t plane = int64_t{call.height} * call.width;
  const int64_t begin = occupied.begins[static_cast<size_t>(line)];
  const int64_t end = occupied.begins[static_cast<size_t>(line) + 1];
  Bits* to = static_cast<Bits*>(call.map) + batch * call.channels * plane + line % call.height * call.width;
  for (int64_t c = 0; c < call.channels; ++c, to += plane) {
    std::fill_n(to, call.width, Bits{0});
    for (int64_t i = begin; i < end; ++i) {
      const int32_t x = occupied.x[static_cast<size_t>(i)];
      to[x] = features[int64_t{rows[x]} * call.channels + c];
    }
  }
}

template <typename Bits>
void write_channels_last(const PillarMap& call, int64_t line, const int32_t* rows, const Occupied&) {
  Bits* to = static_cast<Bits*>(call.map) + line * call.width * call.channels;
  for (int64_t x = 0; x < call.width; ++x, to += call.channels)
    if (rows[x] >= 0)
      std::copy_n(static_cast<const Bits*>(call.features) + int64_t{rows[x]} * call.channels, call.channels, to);
    else
      std::fill_n(to, call.channels, Bits{0});
}

template <typename Bits>
void write_map(const PillarMap& call, int threads) {
  const std::vector<int32_t> rows = rows_of_cells(call);
  const Occupied occupied = occupied_cells(call, rows);
  const int64_t lines = int64_t{call.n_batches} * call.height;
  const auto write = call.layout == PK_CHANNELS_FIRST ? write_channels_first<Bits> : write_channels_last<Bits>;
#pragma omp parallel for num_threads(threads) schedule(dynamic, 4)
  for (int64_t line = 0; line < lines; ++line) write(call, line, rows.data() + line * call.width, occupied);
}

void require_call(const PillarMap& call) {
  require_rows(call.n, "pillars");
  require_channels(call.channels, 1);
  require_map(call.n_batches, call.height, call.width);
  require_dtype(call.dtype);
  require(call.layout == PK_CHANNELS_FIRST || call.layout == PK_CHANNELS_LAST, "there is no such layout");
  require_array(call.features, call.n, "features");
  require_array(call.coords, call.n, "coords");
  require_array(call.map, 1, "map");
}

}  // namespace
}  // namespace pk

extern "C" pk_status pk_pillars_to_map(const pk_execution* where, const void* features, const int32_t* coords,
                                       int64_t n, int32_t channels, int32_t dtype, int32_t n_batches, int32_t height,
                                       int32_t width, int32_t layout, void* map) {
  return pk::guarded("pillars to map", [&] {
    const pk::PillarMap call{features, coords, n, channels, dtype, n_batches, height, width, layout, map};
    pk::require_call(call);
    if (const pk::Gpu gpu = pk::gpu_of(where)) return PK_CUDA(pk::cuda::pillars_to_map(gpu, call));
    const int threads = pk::useful_threads(pk::cpu_threads(where), call.cells() * channels, pk::kSmallestShare);
    dtype == PK_FLOAT16 ? pk::write_map<uint16_t>(call, threads) : pk::write_map<uint32_t>(call, threads);
  });
}
