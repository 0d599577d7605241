#include <algorithm>
#include <vector>

#include "common/radix_sort.cuh"
#include "common/scan.cuh"
#include "sparse_conv/cuda.hpp"
#include "sparse_conv/row_masks.hpp"

namespace pk::cuda {
namespace {

constexpr int kThreads = 256;

struct Table {
  const int32_t* cells;
  int64_t n_out;
  int64_t volume;
  int64_t n_in;
  int64_t tiles;
};

// visit(k, row, input, found, before): for each cell of the block's tile, whether it holds a pair and how many of the
// same weight lie before it in the tile. Lanes are rows, warps take the weights in turn. `done(k, count)` by one lane.
template <typename Visit, typename Done>
__device__ void visit_tile(const Table& table, Visit visit, Done done) {
  const auto lane = static_cast<int>(threadIdx.x) % kWarp;
  for (int64_t k = static_cast<int>(threadIdx.x) / kWarp; k < table.volume; k += kThreads / kWarp) {
    int count = 0;
    for (int part = 0; part < PK_PAIR_TILE; part += kWarp) {
      const int64_t row = static_cast<int64_t>(blockIdx.x) * PK_PAIR_TILE + part + lane;
      const int32_t input = row < table.n_out ? table.cells[row * table.volume + k] : -1;
      const bool found = input >= 0 && input < table.n_in;
      const unsigned all = __ballot_sync(kAllLanes, found ? 1 : 0);
      visit(k, row, input, found, count + __popc(all & ((1U << lane) - 1U)));
      count += __popc(all);
    }
    if (lane == 0) done(k, count);
  }
}

__global__ void __launch_bounds__(kThreads) count_tiles(Table table, int32_t* counts, int32_t* bad) {
  visit_tile(
      table,
      [&](int64_t, int64_t, int32_t input, bool, int) {
        if (input >= table.n_in) atomicOr(bad, 1);
      },
      [&](int64_t k, int count) { counts[k * table.tiles + blockIdx.x] = count; });
}

__global__ void __launch_bounds__(kThreads)
    list_tiles(Table table, const int32_t* begins, int64_t pairs, int32_t* inputs, int32_t* outputs) {
  visit_tile(
      table,
      [&](int64_t k, int64_t row, int32_t input, bool found, int before) {
        const int64_t at = int64_t{begins[k * table.tiles + blockIdx.x]} + before;
        if (!found || at < 0 || at >= pairs) return;  // the latter: begins of another table
        inputs[at] = input;
        outputs[at] = static_cast<int32_t>(row);
      },
      [](int64_t, int) {});
}

// Where the pairs of each weight begin, the end of the last, and whether an input row does not exist.
__global__ void summarise(const int32_t* begins, int64_t volume, int64_t tiles, const int32_t* bad, int32_t* summary) {
  const int64_t i = global_index();
  if (i <= volume) summary[i] = begins[i * tiles];
  if (i == volume + 1) summary[i] = *bad;
}

__global__ void key_rows(RowMasks masks, int64_t n, uint64_t* keys, int32_t* rows) {
  const int64_t i = global_index();
  if (i >= n) return;
  keys[i] = masks.of(i);
  rows[i] = static_cast<int32_t>(i);
}

Table table_of(const int32_t* cells, int64_t n_out, int32_t volume, int64_t n_in) {
  return {cells, n_out, volume, n_in, blocks(n_out, PK_PAIR_TILE)};
}

}  // namespace

void count_pairs(const Gpu& gpu, const int32_t* cells, int64_t n_out, int32_t volume, int64_t n_in, int32_t* begins,
                 int64_t* counts) {
  const Sizes sizes = {{"output rows", n_out}, {"weights", volume}};
  const Table table = table_of(cells, n_out, volume, n_in);
  const Scratch<int32_t> tile_counts(gpu, volume * table.tiles);
  const Scratch<int32_t> summary(gpu, int64_t{volume} + 2);
  const Scratch<int32_t> bad(gpu, 1);
  fill_bytes(gpu, bad.data(), 0, sizeof(int32_t));
  launch(gpu, sizes, count_tiles, blocks(table.tiles, 1), kThreads, 0, table, tile_counts.data(), bad.data());
  exclusive_scan(gpu, tile_counts.data(), begins, volume * table.tiles);
  launch(gpu, sizes, summarise, blocks(int64_t{volume} + 2, kThreads), kThreads, 0, begins, volume, table.tiles,
         bad.data(), summary.data());
  std::vector<int32_t> host(static_cast<size_t>(volume) + 2);
  copy_to_host(gpu, host.data(), summary.data(), static_cast<int64_t>(host.size() * sizeof(int32_t)));
  require(host.back() == 0, "the table names an input row that does not exist");
  for (size_t k = 0; k < static_cast<size_t>(volume); ++k) counts[k] = host[k + 1] - host[k];
}

void list_pairs(const Gpu& gpu, const int32_t* cells, int64_t n_out, int32_t volume, int64_t n_in,
                const int32_t* begins, int64_t pairs, int32_t* inputs, int32_t* outputs) {
  const Table table = table_of(cells, n_out, volume, n_in);
  launch(gpu, {{"output rows", n_out}, {"weights", volume}}, list_tiles, blocks(table.tiles, 1), kThreads, 0, table,
         begins, pairs, inputs, outputs);
}

void order_rows(const Gpu& gpu, const int32_t* cells, int64_t n_out, int32_t volume, int64_t n_in, int32_t* order) {
  const RowMasks masks{cells, volume, n_in};
  const Scratch<uint64_t> keys(gpu, n_out);
  launch(gpu, {{"output rows", n_out}, {"weights", volume}}, key_rows, blocks(n_out, kThreads), kThreads, 0, masks,
         n_out, keys.data(), order);
  sort_pairs(gpu, keys.data(), order, n_out, masks.bits());
}

}  // namespace pk::cuda
