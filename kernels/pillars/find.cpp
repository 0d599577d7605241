#include <algorithm>
#include <vector>

#include "common/call.hpp"
#include "common/gpu.hpp"
#include "pillars/checks.hpp"
#include "pillars/cuda.hpp"

namespace pk {
namespace {

constexpr int64_t kSmallestShare = 8192;  // points a thread

std::vector<int32_t> cells_of_points(const PillarCall& call, int threads) {
  std::vector<int32_t> cells(static_cast<size_t>(call.n));
#pragma omp parallel for num_threads(threads) schedule(static)
  for (int64_t i = 0; i < call.n; ++i)
    cells[static_cast<size_t>(i)] =
        call.grid.cell(call.points + i * call.channels, call.batch != nullptr ? call.batch[i] : 0);
  return cells;
}

void drop_first_of_each_map(const PillarGrid& grid, std::vector<int32_t>& points_of_cell) {
  for (int64_t batch = 0; batch < grid.n_batches; ++batch) {
    const auto begin = points_of_cell.begin() + batch * grid.map_cells();
    const auto end = begin + grid.map_cells();
    const auto first = std::find_if(begin, end, [](int32_t count) { return count > 0; });
    if (first != end) *first = 0;
  }
}

// Number the occupied cells; their count of points becomes their pillar, -1 for the others. Returns how many there are.
int64_t number_pillars(const PillarCall& call, std::vector<int32_t>& points_of_cell) {
  int32_t pillar = 0;
  int32_t points = 0;
  std::fill_n(call.counts, call.grid.n_batches, 0);
  for (size_t cell = 0; cell < points_of_cell.size(); ++cell) {
    const int32_t count = points_of_cell[cell];
    points_of_cell[cell] = count > 0 ? pillar : -1;
    if (count == 0) continue;
    int32_t* coords = call.coords + int64_t{3} * pillar;
    call.grid.coords_of(static_cast<int64_t>(cell), coords);
    ++call.counts[coords[0]];
    call.begins[pillar++] = points;
    points += count;
  }
  call.begins[pillar] = points;
  *call.kept = points;
  return pillar;
}

void order_points(const PillarCall& call, const std::vector<int32_t>& cells, const std::vector<int32_t>& pillar_of_cell,
                  int64_t n_pillars) {
  std::vector<int32_t> next(call.begins, call.begins + n_pillars);
  for (int64_t i = 0; i < call.n; ++i) {
    const int32_t cell = cells[static_cast<size_t>(i)];
    const int32_t pillar = cell >= 0 ? pillar_of_cell[static_cast<size_t>(cell)] : -1;
    if (pillar < 0) continue;
    const int32_t at = next[static_cast<size_t>(pillar)]++;
    call.order[at] = static_cast<int32_t>(i);
    call.pillar[at] = pillar;
  }
}

void find_pillars(const PillarCall& call, int threads) {
  const std::vector<int32_t> cells = cells_of_points(call, threads);
  std::vector<int32_t> points_of_cell(static_cast<size_t>(call.grid.cells()));
  for (const int32_t cell : cells)
    if (cell >= 0) ++points_of_cell[static_cast<size_t>(cell)];
  if (call.grid.grid.drop_first != 0) drop_first_of_each_map(call.grid, points_of_cell);
  const int64_t n_pillars = number_pillars(call, points_of_cell);
  order_points(call, cells, points_of_cell, n_pillars);
}

}  // namespace
}  // namespace pk

extern "C" pk_status pk_pillars(const pk_execution* where, const float* points, int64_t n, int32_t channels,
                                const int32_t* batch, int32_t n_batches, const pk_pillar_grid* grid, int32_t* coords,
                                int32_t* order, int32_t* begins, int32_t* pillar, int64_t* counts, int64_t* kept) {
  return pk::guarded("pillars", [&] {
    const pk::PillarCall call{points, n,      channels, batch, pk::checked_grid(grid, n_batches), coords, order,
                              begins, pillar, counts,   kept};
    pk::require_rows(n, "points");
    pk::require_channels(channels, 3);
    pk::require_array(points, n, "points");
    pk::require_array(coords, n, "coords");
    pk::require_array(order, n, "order");
    pk::require_array(begins, n + 1, "begins");
    pk::require_array(pillar, n, "pillar");
    pk::require_array(counts, n_batches, "counts");
    pk::require_array(kept, 1, "kept");
    if (const pk::Gpu gpu = pk::gpu_of(where)) return PK_CUDA(pk::cuda::pillars(gpu, call));
    pk::find_pillars(call, pk::useful_threads(pk::cpu_threads(where), n, pk::kSmallestShare));
  });
}
