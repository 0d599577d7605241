#include <vector>

#include "common/bits.hpp"
#include "common/radix_sort.cuh"
#include "common/scan.cuh"
#include "pillars/cuda.hpp"

namespace pk::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int32_t kLater = 0x7F7F7F7F;  // fill_bytes(0x7F): behind every cell of a map

__global__ void count_points(PillarCall call, int32_t* cells, int32_t* points_of_cell) {
  const int64_t point = global_index();
  if (point >= call.n) return;
  const int32_t batch = call.batch != nullptr ? call.batch[point] : 0;
  cells[point] = call.grid.cell(call.points + point * call.channels, batch);
  if (cells[point] >= 0) atomicAdd(points_of_cell + cells[point], 1);
}

__global__ void find_first(PillarGrid grid, const int32_t* points_of_cell, int32_t* first) {
  const int64_t cell = global_index();
  if (cell < grid.cells() && points_of_cell[cell] > 0)
    atomicMin(first + cell / grid.map_cells(), static_cast<int32_t>(cell % grid.map_cells()));
}

__global__ void drop_first(PillarGrid grid, const int32_t* first, int32_t* points_of_cell) {
  const int64_t batch = global_index();
  if (batch < grid.n_batches && first[batch] != kLater) points_of_cell[batch * grid.map_cells() + first[batch]] = 0;
}

__global__ void mark_occupied(const int32_t* points_of_cell, int64_t cells, int32_t* occupied) {
  const int64_t cell = global_index();
  if (cell < cells) occupied[cell] = points_of_cell[cell] > 0 ? 1 : 0;
}

// Both running sums have one element more than there are cells.
__global__ void write_pillars(PillarCall call, const int32_t* pillar_of_cell, const int32_t* begin_of_cell) {
  const int64_t cell = global_index();
  if (cell > call.grid.cells()) return;
  const int32_t pillar = pillar_of_cell[cell];
  const bool last = cell == call.grid.cells();
  if (last || pillar_of_cell[cell + 1] > pillar) call.begins[pillar] = begin_of_cell[cell];
  if (!last && pillar_of_cell[cell + 1] > pillar) call.grid.coords_of(cell, call.coords + int64_t{3} * pillar);
}

// Sorted by key, points lie by cell; those of no pillar come last.
__global__ void make_keys(PillarCall call, const int32_t* cells, const int32_t* points_of_cell, uint64_t* keys,
                          int32_t* points) {
  const int64_t point = global_index();
  if (point >= call.n) return;
  const bool kept = cells[point] >= 0 && points_of_cell[cells[point]] > 0;
  keys[point] = kept ? static_cast<uint64_t>(cells[point]) : static_cast<uint64_t>(call.grid.cells());
  points[point] = static_cast<int32_t>(point);
}

__global__ void write_order(PillarCall call, const uint64_t* keys, const int32_t* points,
                            const int32_t* pillar_of_cell) {
  const int64_t i = global_index();
  if (i >= call.n || keys[i] >= static_cast<uint64_t>(call.grid.cells())) return;
  call.order[i] = points[i];
  call.pillar[i] = pillar_of_cell[keys[i]];
}

__global__ void write_totals(PillarGrid grid, const int32_t* pillar_of_cell, const int32_t* begin_of_cell,
                             int32_t* totals) {
  const int64_t batch = global_index();
  if (batch > grid.n_batches) return;
  const int64_t begin = batch * grid.map_cells();
  totals[batch] =
      batch < grid.n_batches ? pillar_of_cell[begin + grid.map_cells()] - pillar_of_cell[begin] : begin_of_cell[begin];
}

void drop_first_pillars(const Gpu& gpu, const PillarGrid& grid, int32_t* points_of_cell) {
  const Sizes sizes{{"cells", grid.cells()}};
  const Scratch<int32_t> first(gpu, grid.n_batches);
  fill_bytes(gpu, first.data(), 0x7F, 4 * int64_t{grid.n_batches});
  launch(gpu, sizes, find_first, blocks(grid.cells(), kThreads), kThreads, 0, grid, points_of_cell, first.data());
  launch(gpu, sizes, drop_first, blocks(grid.n_batches, kThreads), kThreads, 0, grid, first.data(), points_of_cell);
}

void order_points(const Gpu& gpu, const PillarCall& call, const int32_t* cells, const int32_t* points_of_cell,
                  const int32_t* pillar_of_cell) {
  const Sizes sizes{{"points", call.n}};
  const Scratch<uint64_t> keys(gpu, call.n);
  const Scratch<int32_t> points(gpu, call.n);
  const unsigned grid = blocks(call.n, kThreads);
  launch(gpu, sizes, make_keys, grid, kThreads, 0, call, cells, points_of_cell, keys.data(), points.data());
  sort_pairs(gpu, keys.data(), points.data(), call.n, bits_of(call.grid.cells()));
  launch(gpu, sizes, write_order, grid, kThreads, 0, call, keys.data(), points.data(), pillar_of_cell);
}

void copy_totals(const Gpu& gpu, const PillarCall& call, const int32_t* pillar_of_cell, const int32_t* begin_of_cell) {
  const int64_t n = call.grid.n_batches + int64_t{1};
  const Scratch<int32_t> totals(gpu, n);
  launch(gpu, {{"batch elements", n - 1}}, write_totals, blocks(n, kThreads), kThreads, 0, call.grid, pillar_of_cell,
         begin_of_cell, totals.data());
  std::vector<int32_t> host(static_cast<size_t>(n));
  copy_to_host(gpu, host.data(), totals.data(), 4 * n);
  for (int64_t batch = 0; batch + 1 < n; ++batch) call.counts[batch] = host[static_cast<size_t>(batch)];
  *call.kept = host.back();
}

}  // namespace

void pillars(const Gpu& gpu, const PillarCall& call) {
  const int64_t cells = call.grid.cells();
  const Sizes sizes{{"points", call.n}, {"cells", cells}};
  const Scratch<int32_t> cell_of_point(gpu, call.n);
  const Scratch<int32_t> points_of_cell(gpu, cells);
  const Scratch<int32_t> occupied(gpu, cells);
  const Scratch<int32_t> pillar_of_cell(gpu, cells + 1);
  const Scratch<int32_t> begin_of_cell(gpu, cells + 1);
  fill_bytes(gpu, points_of_cell.data(), 0, 4 * cells);
  launch(gpu, sizes, count_points, blocks(call.n, kThreads), kThreads, 0, call, cell_of_point.data(),
         points_of_cell.data());
  if (call.grid.grid.drop_first != 0) drop_first_pillars(gpu, call.grid, points_of_cell.data());
  launch(gpu, sizes, mark_occupied, blocks(cells, kThreads), kThreads, 0, points_of_cell.data(), cells,
         occupied.data());
  exclusive_scan(gpu, occupied.data(), pillar_of_cell.data(), cells);
  exclusive_scan(gpu, points_of_cell.data(), begin_of_cell.data(), cells);
  launch(gpu, sizes, write_pillars, blocks(cells + 1, kThreads), kThreads, 0, call, pillar_of_cell.data(),
         begin_of_cell.data());
  order_points(gpu, call, cell_of_point.data(), points_of_cell.data(), pillar_of_cell.data());
  copy_totals(gpu, call, pillar_of_cell.data(), begin_of_cell.data());
}

}  // namespace pk::cuda
