// Once per calibration: the cell of every frustum point, and the points of every cell.
#include <algorithm>
#include <cmath>

#include "bev_pool/cell.hpp"
#include "bev_pool/checks.hpp"
#include "bev_pool/cuda.hpp"
#include "common/grouping.hpp"

namespace pk {
namespace {

constexpr int64_t kSmallestShareOfPoints = 1 << 14;

void require_grid(const pk_bev_grid* grid, int32_t samples, int64_t n) {
  require(grid != nullptr, "grid is null");
  require_rows(n, "points");
  require(samples >= 1 && n % samples == 0, "the number of points must be a multiple of the samples, at least 1");
  int64_t cells = samples;
  for (int axis = 0; axis < 3; ++axis) {
    require(std::isfinite(grid->lower_m[axis]), "the lower bound must be finite");
    require(grid->cell_size_m[axis] > 0 && std::isfinite(grid->cell_size_m[axis]), "the cell size must be positive");
    require(grid->shape[axis] >= 1, "the grid must have at least 1 cell along each axis");
    cells *= grid->shape[axis];
    require_rows(cells, "cells");
  }
}

}  // namespace
}  // namespace pk

extern "C" {

pk_status pk_bev_cells(const pk_execution* where, const float* points, int64_t n, int32_t samples,
                       const pk_bev_grid* grid, int32_t* cells) {
  return pk::guarded("BEV cells", [&] {
    pk::require_grid(grid, samples, n);
    pk::require_array(points, n, "points");
    pk::require_array(cells, n, "cells");
    const int64_t per_sample = std::max<int64_t>(n / samples, 1);
    if (const pk::Gpu gpu = pk::gpu_of(where))
      return PK_CUDA(pk::cuda::bev_cells(gpu, points, n, per_sample, *grid, cells));
    const int threads = pk::useful_threads(pk::cpu_threads(where), n, pk::kSmallestShareOfPoints);
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t i = 0; i < n; ++i) cells[i] = pk::bev_cell(points + 3 * i, *grid, i / per_sample);
  });
}

pk_status pk_bev_order(const pk_execution* where, const int32_t* cells, int64_t n, int64_t n_cells, int32_t* begins,
                       int32_t* order) {
  return pk::guarded("BEV order", [&] {
    pk::require_rows(n, "points");
    pk::require_rows(n_cells, "cells");
    pk::require_array(cells, n, "cells");
    pk::require_array(begins, n_cells + 1, "begins");
    pk::require_array(order, n, "order");
    if (const pk::Gpu gpu = pk::gpu_of(where))
      return PK_CUDA(pk::cuda::bev_order(gpu, cells, n, n_cells, begins, order));
    pk::cpu_threads(where);
    pk::require_cells(cells, n, n_cells);
    pk::group_entries(cells, n, n_cells, begins, order);
    std::fill(order + begins[n_cells], order + n, -1);
  });
}
}
