#include "kernel_map/windows.hpp"

#include "hash/table.hpp"
#include "unique/voxel_numbers.hpp"

namespace pk {
namespace {

// Keep an output voxel, if it is new.
void add_output(const int32_t* voxel, int64_t capacity, VoxelNumbers& outputs) {
  require(in_range(voxel[0], voxel[1], voxel[2], voxel[3]), kOutputOutOfRange);
  if (outputs.count() < capacity)
    outputs.find_or_add(voxel);
  else if (outputs.find(voxel) < 0)
    throw_too_many_outputs(capacity);
}

// The inputs in the windows of outputs that come in the order of their keys.
class WindowSearch {
 public:
  WindowSearch(const SortedVoxels& inputs, const pk_window& window)
      : inputs_(inputs), window_(window), cursors_(static_cast<std::size_t>(window.size[0] * window.size[1])) {}

  void fill(const int32_t* voxel, int32_t* cells) {
    const KeyLayout& layout = inputs_.layout;
    if (voxel[0] < layout.lowest[0] || voxel[0] > layout.highest[0]) return;
    const int32_t z = first_input(voxel, 2), last_z = std::min(z + window_.size[2] - 1, layout.highest[3]);
    const int32_t first_z = std::max(z, layout.lowest[3]);
    if (first_z > last_z) return;
    for (int32_t kx = 0; kx < window_.size[0]; ++kx)
      for (int32_t ky = 0; ky < window_.size[1]; ++ky) {
        const int32_t column[4] = {voxel[0], first_input(voxel, 0) + kx, first_input(voxel, 1) + ky, first_z};
        if (outside(column, 1) || outside(column, 2)) continue;
        fill_column(column, last_z, kx + window_.size[0] * ky, first_z - z, cells);
      }
  }

 private:
  int32_t first_input(const int32_t* voxel, int axis) const {
    return voxel[axis + 1] * window_.stride[axis] - window_.padding[axis];
  }

  bool outside(const int32_t* voxel, int axis) const {
    return voxel[axis] < inputs_.layout.lowest[axis] || voxel[axis] > inputs_.layout.highest[axis];
  }

  void fill_column(const int32_t* column, int32_t last_z, int32_t index, int32_t skipped, int32_t* cells) {
    const uint64_t first = inputs_.layout.key(column);
    const uint64_t last = first + static_cast<uint64_t>(last_z - column[3]);
    const int64_t layer = window_.size[0] * window_.size[1];
    cursors_[static_cast<std::size_t>(index)].visit(inputs_.keys, first, last, [&](std::size_t found) {
      cells[index + layer * (skipped + static_cast<int64_t>(inputs_.keys[found] - first))] = inputs_.rows[found];
    });
  }

  const SortedVoxels& inputs_;
  const pk_window& window_;
  std::vector<Cursor> cursors_;
};

}  // namespace

int64_t window_outputs(const int32_t* coords, int64_t n, const pk_window& window, const int32_t* bounds,
                       int32_t* out_coords, int64_t capacity) {
  VoxelNumbers outputs(out_coords, n);
  for (int64_t row = 0; row < n; ++row) {
    checked_key(coords, row);
    const int32_t* c = coords + 4 * row;
    int32_t voxel[4] = {c[0], 0, 0, 0};
    for (int32_t kz = first_weight(window, 2, c[3]); kz < window.size[2]; kz += window.stride[2])
      for (int32_t ky = first_weight(window, 1, c[2]); ky < window.size[1]; ky += window.stride[1])
        for (int32_t kx = first_weight(window, 0, c[1]); kx < window.size[0]; kx += window.stride[0]) {
          voxel[1] = output_of(window, 0, c[1], kx);
          voxel[2] = output_of(window, 1, c[2], ky);
          voxel[3] = output_of(window, 2, c[3], kz);
          if (bounds == nullptr || within(bounds, voxel)) add_output(voxel, capacity, outputs);
        }
  }
  return outputs.count();
}

void fill_window(const SortedVoxels& inputs, const SortedVoxels& outputs, const int32_t* out_coords,
                 const pk_window& window, int32_t* table, int threads) {
  const auto n_out = static_cast<int64_t>(outputs.rows.size());
  const int64_t volume = volume_of(window.size);
#pragma omp parallel num_threads(threads)
  {
    WindowSearch search(inputs, window);
#pragma omp for schedule(static)
    for (int64_t position = 0; position < n_out; ++position) {
      const int64_t row = outputs.rows[static_cast<std::size_t>(position)];
      std::fill_n(table + row * volume, volume, -1);
      search.fill(out_coords + 4 * row, table + row * volume);
    }
  }
}

}  // namespace pk
