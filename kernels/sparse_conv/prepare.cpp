// Pairs and orders of rows: what can be prepared once a table.
#include <algorithm>
#include <numeric>
#include <vector>

#include "common/call.hpp"
#include "sparse_conv/cuda.hpp"
#include "sparse_conv/row_masks.hpp"

namespace pk {
namespace {

struct Table {
  const int32_t* cells;
  int64_t n_out;
  int64_t volume;
  int64_t n_in;

  int64_t tiles() const { return (n_out + PK_PAIR_TILE - 1) / PK_PAIR_TILE; }
  int64_t end_of(int64_t tile) const { return std::min((tile + 1) * PK_PAIR_TILE, n_out); }
  int32_t at(int64_t row, int64_t k) const { return cells[row * volume + k]; }
};

Table checked_table(const int32_t* cells, int64_t n_out, int32_t volume, int64_t n_in) {
  require_rows(n_out, "output rows");
  require_rows(n_in, "input rows");
  require(volume >= 1, "the kernel volume must be at least 1");
  require(n_out * volume <= INT32_MAX, "the table has 2^31 cells or more");
  require_array(cells, n_out, "table");
  return {cells, n_out, volume, n_in};
}

void require_inputs(const Table& table) {
  const int32_t largest =
      table.n_out == 0 ? -1 : *std::max_element(table.cells, table.cells + table.n_out * table.volume);
  require(largest < table.n_in, "the table names an input row that does not exist");
}

void count_pairs(const Table& table, int32_t* begins, int64_t* counts) {
  require_inputs(table);
  int32_t total = 0;
  for (int64_t k = 0; k < table.volume; ++k) {
    counts[k] = -total;
    for (int64_t tile = 0; tile < table.tiles(); ++tile) {
      *begins++ = total;
      for (int64_t row = tile * PK_PAIR_TILE; row < table.end_of(tile); ++row) total += table.at(row, k) >= 0 ? 1 : 0;
    }
    counts[k] += total;
  }
  *begins = total;
}

void list_pairs(const Table& table, const int32_t* begins, int64_t pairs, int32_t* inputs, int32_t* outputs) {
  for (int64_t k = 0; k < table.volume; ++k)
    for (int64_t tile = 0; tile < table.tiles(); ++tile, ++begins) {
      int64_t at = *begins;
      for (int64_t row = tile * PK_PAIR_TILE; row < table.end_of(tile); ++row) {
        const int32_t input = table.at(row, k);
        if (input < 0) continue;
        require(at >= 0 && at < pairs && input < table.n_in, "the begins are not those of the table");
        inputs[at] = input;
        outputs[at++] = static_cast<int32_t>(row);
      }
    }
}

void order_rows(const Table& table, int32_t* order) {
  require_inputs(table);
  const RowMasks masks{table.cells, table.volume, table.n_in};
  std::vector<uint64_t> of(static_cast<size_t>(table.n_out));
  for (int64_t row = 0; row < table.n_out; ++row) of[static_cast<size_t>(row)] = masks.of(row);
  std::iota(order, order + table.n_out, 0);
  std::stable_sort(order, order + table.n_out,
                   [&](int32_t a, int32_t b) { return of[static_cast<size_t>(a)] < of[static_cast<size_t>(b)]; });
}

}  // namespace
}  // namespace pk

extern "C" {

pk_status pk_count_pairs(const pk_execution* where, const int32_t* table, int64_t n_out, int32_t kernel_volume,
                         int64_t n_in, int32_t* begins, int64_t* counts) {
  return pk::guarded("counting pairs", [&] {
    const pk::Table checked = pk::checked_table(table, n_out, kernel_volume, n_in);
    pk::require_array(begins, 1, "begins");
    pk::require_array(counts, 1, "counts");
    if (const pk::Gpu gpu = pk::gpu_of(where))
      return PK_CUDA(pk::cuda::count_pairs(gpu, table, n_out, kernel_volume, n_in, begins, counts));
    pk::cpu_threads(where);
    pk::count_pairs(checked, begins, counts);
  });
}

pk_status pk_list_pairs(const pk_execution* where, const int32_t* table, int64_t n_out, int32_t kernel_volume,
                        int64_t n_in, const int32_t* begins, int64_t pairs, int32_t* inputs, int32_t* outputs) {
  return pk::guarded("listing pairs", [&] {
    const pk::Table checked = pk::checked_table(table, n_out, kernel_volume, n_in);
    pk::require_array(begins, 1, "begins");
    pk::require_rows(pairs, "pairs");
    pk::require_array(inputs, pairs, "inputs");
    pk::require_array(outputs, pairs, "outputs");
    if (const pk::Gpu gpu = pk::gpu_of(where))
      return PK_CUDA(pk::cuda::list_pairs(gpu, table, n_out, kernel_volume, n_in, begins, pairs, inputs, outputs));
    pk::cpu_threads(where);
    pk::list_pairs(checked, begins, pairs, inputs, outputs);
  });
}

pk_status pk_order_rows(const pk_execution* where, const int32_t* table, int64_t n_out, int32_t kernel_volume,
                        int64_t n_in, int32_t* order) {
  return pk::guarded("ordering rows", [&] {
    const pk::Table checked = pk::checked_table(table, n_out, kernel_volume, n_in);
    pk::require_array(order, n_out, "order");
    if (const pk::Gpu gpu = pk::gpu_of(where))
      return PK_CUDA(pk::cuda::order_rows(gpu, table, n_out, kernel_volume, n_in, order));
    pk::cpu_threads(where);
    pk::order_rows(checked, order);
  });
}
}
