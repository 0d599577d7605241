#include <algorithm>
#include <vector>

#include "common/call.hpp"
#include "hash/table.hpp"

namespace pk {
namespace {

constexpr int64_t kSmallestShare = 1024;

// Key steps to the neighbours in the first half of the cube, in weight order; weight volume - 1 - k is the opposite of
// k.
std::vector<uint64_t> first_half(int size) {
  const int reach = size / 2;
  std::vector<uint64_t> steps;
  for (int dz = -reach; dz <= reach; ++dz)
    for (int dy = -reach; dy <= reach; ++dy)
      for (int dx = -reach; dx <= reach; ++dx) steps.push_back(key_step(dx, dy, dz));
  steps.resize(steps.size() / 2);
  return steps;
}

// If j is the neighbour k of i, then i is the opposite neighbour of j: half of the queries fill both. No two rows write
// the same cell, because a row has one neighbour in a direction.
void fill_submanifold(const int32_t* coords, int64_t n, const HashView& hash, int size, int32_t* table, int threads) {
  const std::vector<uint64_t> steps = first_half(size);
  const auto half = static_cast<int64_t>(steps.size());
  const int64_t volume = 2 * half + 1;
#pragma omp parallel num_threads(threads)
  {
#pragma omp for schedule(static)
    for (int64_t cell = 0; cell < n * volume; ++cell) table[cell] = -1;
#pragma omp for schedule(static)
    for (int64_t row = 0; row < n; ++row) {
      const int32_t* c = coords + 4 * row;
      const uint64_t key = pack(c[0], c[1], c[2], c[3]);
      table[row * volume + half] = static_cast<int32_t>(row);
      for (int64_t k = 0; k < half; ++k) {
        const int32_t neighbour = hash.find(key + steps[static_cast<size_t>(k)]);
        if (neighbour < 0 || neighbour >= n) continue;
        table[row * volume + k] = neighbour;
        table[neighbour * volume + volume - 1 - k] = static_cast<int32_t>(row);
      }
    }
  }
}

void check_hash_matches(const int32_t* coords, int64_t n, const HashView& hash) {
  for (int64_t row = 0; row < n; ++row)
    require(hash.find(checked_key(coords, row)) == row, "the hash was not built from these coords");
}

void fill_strided(const int32_t* parent, const uint8_t* offset, int64_t n, int64_t n_coarse, int32_t* table) {
  std::fill_n(table, 8 * n_coarse, -1);
  for (int64_t row = 0; row < n; ++row) {
    require(parent[row] >= -1 && parent[row] < n_coarse, "parent names a row that does not exist");
    if (parent[row] < 0) continue;
    require(offset[row] < 8, "offset must lie in 0..7");
    int32_t& cell = table[8 * static_cast<int64_t>(parent[row]) + offset[row]];
    require(cell < 0, "two rows have the same parent and offset");
    cell = static_cast<int32_t>(row);
  }
}

void transpose(const int32_t* table, int64_t n_out, int64_t volume, int64_t n_in, int32_t* transposed) {
  std::fill_n(transposed, n_in * volume, -1);
  for (int64_t row = 0; row < n_out; ++row)
    for (int64_t k = 0; k < volume; ++k) {
      const int32_t input = table[row * volume + k];
      if (input < 0) continue;
      require(input < n_in, "the table names an input row that does not exist");
      int32_t& cell = transposed[input * volume + k];
      require(cell < 0, "one weight uses an input row twice");
      cell = static_cast<int32_t>(row);
    }
}

}  // namespace
}  // namespace pk

extern "C" {

pk_status pk_submanifold_table(const pk_execution* where, const int32_t* coords, int64_t n, const pk_hash* hash,
                               int32_t kernel_size, int32_t* table) {
  return pk::guarded("submanifold table", [&] {
    const int threads = pk::cpu_threads(where);
    pk::require(kernel_size % 2 == 1 && kernel_size >= 1 && kernel_size <= 7, "the kernel size must be 1, 3, 5 or 7");
    pk::require_rows(n, "coords");
    pk::require_array(coords, n, "coords");
    pk::require_array(table, n, "table");
    pk::require_hash(hash);
    const pk::HashView view(*hash);
    pk::check_hash_matches(coords, n, view);
    pk::fill_submanifold(coords, n, view, kernel_size, table, pk::useful_threads(threads, n, pk::kSmallestShare));
  });
}

pk_status pk_strided_table(const pk_execution* where, const int32_t* parent, const uint8_t* offset, int64_t n,
                           int64_t n_coarse, int32_t* table) {
  return pk::guarded("strided table", [&] {
    pk::cpu_threads(where);
    pk::require_rows(n, "fine rows");
    pk::require_rows(n_coarse, "coarse rows");
    pk::require_array(parent, n, "parent");
    pk::require_array(offset, n, "offset");
    pk::require_array(table, n_coarse, "table");
    pk::fill_strided(parent, offset, n, n_coarse, table);
  });
}

pk_status pk_transpose_table(const pk_execution* where, const int32_t* table, int64_t n_out, int32_t kernel_volume,
                             int64_t n_in, int32_t* transposed) {
  return pk::guarded("transpose table", [&] {
    pk::cpu_threads(where);
    pk::require_rows(n_out, "output rows");
    pk::require_rows(n_in, "input rows");
    pk::require(kernel_volume >= 1, "the kernel volume must be at least 1");
    pk::require_array(table, n_out, "table");
    pk::require_array(transposed, n_in, "transposed");
    pk::transpose(table, n_out, kernel_volume, n_in, transposed);
  });
}
}
