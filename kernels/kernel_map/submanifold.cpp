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

// Fills the rows of a share of the voxels; shares may run at the same time.
//
// If j is the neighbour k of i, then i is the neighbour volume - 1 - k of j: half of the search fills both. A found
// neighbour lies before its voxel, so that its row of the table is still in the cache.
class Filler {
 public:
  Filler(const SortedVoxels& voxels, const int32_t* size, int32_t* table)
      : voxels_(voxels),
        columns_(first_half(voxels.layout, size)),
        layer_(size[0] * size[1]),
        volume_(volume_of(size)),
        table_(table) {}

  void fill(int64_t begin, int64_t end) const {
    std::vector<Cursor> cursors(columns_.size());
    for (int64_t position = begin; position < end; ++position) {
      const int32_t row = row_at(position);
      std::fill_n(table_ + row * volume_, volume_, -1);
      table_[row * volume_ + volume_ / 2] = row;
      visit(position, cursors, [&](int64_t neighbour, int64_t k) {
        table_[row * volume_ + k] = row_at(neighbour);
        if (neighbour >= begin) table_[row_at(neighbour) * volume_ + volume_ - 1 - k] = row;
      });
    }
  }

  // Afterwards: what fill(begin, end) left out, the neighbours' side of pairs across the beginning of the share.
  void join(int64_t begin, int64_t end) const {
    if (columns_.empty() || begin == 0) return;
    std::vector<Cursor> cursors(columns_.size());
    for (int64_t position = begin; position < end; ++position) {
      if (key_at(position) - columns_[0].step > key_at(begin - 1)) return;
      visit(position, cursors, [&](int64_t neighbour, int64_t k) {
        if (neighbour < begin) table_[row_at(neighbour) * volume_ + volume_ - 1 - k] = row_at(position);
      });
    }
  }

 private:
  uint64_t key_at(int64_t position) const { return voxels_.keys[static_cast<std::size_t>(position)]; }
  int32_t row_at(int64_t position) const { return voxels_.rows[static_cast<std::size_t>(position)]; }

  // Call found(position, weight) for each neighbour in the first half.
  template <typename Found>
  void visit(int64_t position, std::vector<Cursor>& cursors, const Found& found) const {
    for (std::size_t c = 0; c < columns_.size(); ++c) {
      const Column& column = columns_[c];
      const uint64_t first = key_at(position) - column.step, last = first + static_cast<uint64_t>(column.length - 1);
      cursors[c].visit(voxels_.keys, first, last, [&](std::size_t neighbour) {
        found(static_cast<int64_t>(neighbour),
              column.weight + layer_ * static_cast<int64_t>(voxels_.keys[neighbour] - first));
      });
    }
  }

  const SortedVoxels& voxels_;
  std::vector<Column> columns_;
  int64_t layer_;  // weights from one z to the next
  int64_t volume_;
  int32_t* table_;
};

}  // namespace

void fill_submanifold(const SortedVoxels& voxels, const int32_t* size, int32_t* table, int threads) {
  const Filler filler(voxels, size, table);
  const auto n = static_cast<int64_t>(voxels.rows.size());
#pragma omp parallel for num_threads(threads) schedule(static, 1)
  for (int share = 0; share < threads; ++share) filler.fill(n * share / threads, n * (share + 1) / threads);
  for (int share = 1; share < threads; ++share) filler.join(n * share / threads, n * (share + 1) / threads);
}

}  // namespace pk
