#include <algorithm>

#include "common/call.hpp"
#include "kernel_map/cuda.hpp"
#include "kernel_map/submanifold.hpp"
#include "kernel_map/windows.hpp"

namespace pk {
namespace {

constexpr int64_t kSmallestShare = 1024;

void require_window(const pk_window* window) {
  require(window != nullptr, "window is null");
  for (int axis = 0; axis < 3; ++axis) {
    require(window->size[axis] >= 1 && window->size[axis] <= 7, "the size of a window must lie in 1..7");
    require(window->stride[axis] >= 1 && window->stride[axis] <= 64, "the stride of a window must lie in 1..64");
    require(window->padding[axis] >= 0 && window->padding[axis] <= 64, "the padding of a window must lie in 0..64");
  }
}

void require_odd_sizes(const int32_t* size) {
  require_array(size, 3, "kernel_size");
  for (int axis = 0; axis < 3; ++axis)
    require(size[axis] % 2 == 1 && size[axis] >= 1 && size[axis] <= 7, "the kernel size must be 1, 3, 5 or 7");
}

void fill_strided(const int32_t* parent, const uint8_t* offset, int64_t n, int64_t n_coarse, int64_t volume,
                  int32_t* table) {
  std::fill_n(table, volume * n_coarse, -1);
  for (int64_t row = 0; row < n; ++row) {
    require(parent[row] >= -1 && parent[row] < n_coarse, "parent names a row that does not exist");
    if (parent[row] < 0) continue;
    require(offset[row] < volume, "offset must lie in 0..kernel_volume - 1");
    int32_t& cell = table[volume * parent[row] + offset[row]];
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

pk_status pk_submanifold_table(const pk_execution* where, const int32_t* coords, int64_t n,
                               const int32_t kernel_size[3], int32_t* table) {
  return pk::guarded("submanifold table", [&] {
    pk::require_odd_sizes(kernel_size);
    pk::require_rows(n, "coords");
    pk::require_array(coords, n, "coords");
    pk::require_array(table, n, "table");
    if (const pk::Gpu gpu = pk::gpu_of(where))
      return PK_CUDA(pk::cuda::submanifold_table(gpu, coords, n, kernel_size, table));
    const int threads = pk::useful_threads(pk::cpu_threads(where), n, pk::kSmallestShare);
    const int32_t reach = *std::max_element(kernel_size, kernel_size + 3) / 2;
    const pk::SortedVoxels voxels = pk::sort_voxels(coords, n, reach);
    pk::require_distinct(voxels);
    pk::fill_submanifold(voxels, kernel_size, table, threads);
  });
}

pk_status pk_window_outputs(const pk_execution* where, const int32_t* coords, int64_t n, const pk_window* window,
                            const int32_t bounds[6], int32_t* out_coords, int64_t capacity, int64_t* count) {
  return pk::guarded("window outputs", [&] {
    pk::require_rows(n, "coords");
    pk::require_array(coords, n, "coords");
    pk::require_window(window);
    pk::require_rows(capacity, "output voxels that fit (the capacity)");
    pk::require_array(out_coords, capacity, "out_coords");
    pk::require_array(count, 1, "count");
    if (const pk::Gpu gpu = pk::gpu_of(where))
      return PK_CUDA(pk::cuda::window_outputs(gpu, coords, n, *window, bounds, out_coords, capacity, count));
    pk::cpu_threads(where);
    *count = pk::window_outputs(coords, n, *window, bounds, out_coords, capacity);
  });
}

pk_status pk_window_table(const pk_execution* where, const int32_t* coords, int64_t n, const int32_t* out_coords,
                          int64_t n_out, const pk_window* window, int32_t* table) {
  return pk::guarded("window table", [&] {
    pk::require_rows(n, "coords");
    pk::require_array(coords, n, "coords");
    pk::require_rows(n_out, "out_coords");
    pk::require_array(out_coords, n_out, "out_coords");
    pk::require_window(window);
    pk::require_array(table, n_out, "table");
    if (const pk::Gpu gpu = pk::gpu_of(where))
      return PK_CUDA(pk::cuda::window_table(gpu, coords, n, out_coords, n_out, *window, table));
    const int threads = pk::useful_threads(pk::cpu_threads(where), n_out, pk::kSmallestShare);
    const pk::SortedVoxels inputs = pk::sort_voxels(coords, n, 0);
    pk::require_distinct(inputs);
    pk::fill_window(inputs, pk::sort_voxels(out_coords, n_out, 0), out_coords, *window, table, threads);
  });
}

pk_status pk_strided_table(const pk_execution* where, const int32_t* parent, const uint8_t* offset, int64_t n,
                           int64_t n_coarse, int32_t kernel_volume, int32_t* table) {
  return pk::guarded("strided table", [&] {
    pk::require_rows(n, "fine rows");
    pk::require_rows(n_coarse, "coarse rows");
    pk::require(kernel_volume >= 1 && kernel_volume <= 256, "the kernel volume must lie in 1..256");
    pk::require_array(parent, n, "parent");
    pk::require_array(offset, n, "offset");
    pk::require_array(table, n_coarse, "table");
    if (const pk::Gpu gpu = pk::gpu_of(where))
      return PK_CUDA(pk::cuda::strided_table(gpu, parent, offset, n, n_coarse, kernel_volume, table));
    pk::cpu_threads(where);
    pk::fill_strided(parent, offset, n, n_coarse, kernel_volume, table);
  });
}

pk_status pk_transpose_table(const pk_execution* where, const int32_t* table, int64_t n_out, int32_t kernel_volume,
                             int64_t n_in, int32_t* transposed) {
  return pk::guarded("transpose table", [&] {
    pk::require_rows(n_out, "output rows");
    pk::require_rows(n_in, "input rows");
    pk::require(kernel_volume >= 1, "the kernel volume must be at least 1");
    pk::require_array(table, n_out, "table");
    pk::require_array(transposed, n_in, "transposed");
    if (const pk::Gpu gpu = pk::gpu_of(where))
      return PK_CUDA(pk::cuda::transpose_table(gpu, table, n_out, kernel_volume, n_in, transposed));
    pk::cpu_threads(where);
    pk::transpose(table, n_out, kernel_volume, n_in, transposed);
  });
}
}
