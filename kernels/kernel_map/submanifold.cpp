#include "kernel_map/submanifold.hpp"

#include "kernel_map/window.hpp"

namespace pk {
namespace {

// Weights of a kernel that differ in z only.
struct Column {
  uint64_t step;   // from a voxel's key back to that of the first voxel of its column
  int32_t weight;  // of that first voxel
  int32_t length;
};

// The columns that hold the voxels before the centre, in the order of keys.
std::vector<Column> first_half(const KeyLayout& layout, const int32_t* size) {
  const int32_t reach[3] = {size[0] / 2, size[1] / 2, size[2] / 2};
  std::vector<Column> columns;
  for (int32_t dx = -reach[0]; dx <= 0; ++dx)
    for (int32_t dy = -reach[1]; dy <= (dx < 0 ? reach[1] : 0); ++dy) {
      const int32_t length = dx == 0 && dy == 0 ? reach[2] : size[2];
      const int32_t weight = dx + reach[0] + size[0] * (dy + reach[1]);
      if (length > 0) columns.push_back({layout.step(-dx, -dy, reach[2]), weight, length});
    }
  return columns;
}

struct Fill {
  const SortedVoxels& voxels;
  const std::vector<Column>& columns;
  int64_t layer;  // weights from one z to the next
  int64_t volume;
  int32_t* table;

  // If j is the neighbour k of i, then i is the neighbour volume - 1 - k of j: half of the search fills both. No two
  // rows write the same cell, because a row has one neighbour in a direction.
  void neighbours_of(std::size_t position, std::vector<Cursor>& cursors) const {
    const uint64_t key = voxels.keys[position];
    const int32_t row = voxels.rows[position];
    table[row * volume + volume / 2] = row;
    for (std::size_t c = 0; c < columns.size(); ++c) {
      const Column& column = columns[c];
      const uint64_t first = key - column.step, last = first + static_cast<uint64_t>(column.length - 1);
      cursors[c].visit(voxels.keys, first, last, [&](std::size_t found) {
        const int64_t k = column.weight + layer * static_cast<int64_t>(voxels.keys[found] - first);
        const int32_t neighbour = voxels.rows[found];
        table[row * volume + k] = neighbour;
        table[neighbour * volume + volume - 1 - k] = row;
      });
    }
  }
};

}  // namespace

void fill_submanifold(const SortedVoxels& voxels, const int32_t* size, int32_t* table, int threads) {
  const std::vector<Column> columns = first_half(voxels.layout, size);
  const Fill fill{voxels, columns, size[0] * size[1], volume_of(size), table};
  const auto n = static_cast<int64_t>(voxels.rows.size());
#pragma omp parallel num_threads(threads)
  {
    std::vector<Cursor> cursors(columns.size());
#pragma omp for schedule(static)
    for (int64_t cell = 0; cell < n * fill.volume; ++cell) table[cell] = -1;
#pragma omp for schedule(static)
    for (int64_t position = 0; position < n; ++position)
      fill.neighbours_of(static_cast<std::size_t>(position), cursors);
  }
}

}  // namespace pk
