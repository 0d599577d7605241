// Once per calibration: the cell of every frustum point, and the points of every cell.
#include "bev_pool/cell.hpp"
#include "bev_pool/cuda.hpp"
#include "common/grouping.cuh"

namespace pk::cuda {
namespace {

constexpr int kThreads = 256;

__global__ void find_cells(const float* points, int64_t n, int64_t points_per_sample, pk_bev_grid grid,
                           int32_t* cells) {
  const int64_t i = global_index();
  if (i < n) cells[i] = bev_cell(points + 3 * i, grid, i / points_per_sample);
}

__global__ void copy_groups(GroupsView groups, int64_t n, int64_t n_cells, int32_t* begins, int32_t* order) {
  const int64_t i = global_index();
  if (i <= n_cells) begins[i] = groups.begins[i];
  if (i < n) order[i] = i < groups.begins[n_cells] ? groups.members[i] : -1;
}

}  // namespace

void bev_cells(const Gpu& gpu, const float* points, int64_t n, int64_t points_per_sample, const pk_bev_grid& grid,
               int32_t* cells) {
  launch(gpu, {{"points", n}}, find_cells, blocks(n, kThreads), kThreads, 0, points, n, points_per_sample, grid, cells);
}

void bev_order(const Gpu& gpu, const int32_t* cells, int64_t n, int64_t n_cells, int32_t* begins, int32_t* order) {
  const Groups groups(gpu, cells, n, n_cells);
  const int64_t work = n > n_cells ? n : n_cells + 1;
  launch(gpu, {{"points", n}, {"cells", n_cells}}, copy_groups, blocks(work, kThreads), kThreads, 0, groups.view(), n,
         n_cells, begins, order);
}

}  // namespace pk::cuda
