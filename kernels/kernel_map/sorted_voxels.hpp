// The voxels of an array in the order of their coordinates, and cursors that find boxes of them.
//
// Looking for the neighbours of one voxel after the other, in order, the answers are in order too: a cursor for each
// column of a kernel walks once through the keys. That is several times faster than hashing every neighbour, most of
// which do not exist.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace pk {

// Keys as narrow as an array's coordinates allow, so that few passes sort them. batch, x, y, z from the highest bit.
struct KeyLayout {
  int32_t lowest[4];
  int32_t highest[4];
  int shift[4];
  int bits;
  int32_t margin;  // steps that x, y and z may lie beyond the array's own, without one field's running into the next

  uint64_t field(int axis, int64_t value) const {
    return static_cast<uint64_t>(value - lowest[axis] + (axis > 0 ? margin : 0)) << shift[axis];
  }
  uint64_t key(const int32_t* c) const { return field(0, c[0]) | field(1, c[1]) | field(2, c[2]) | field(3, c[3]); }
  // What to subtract from a key to come to the voxel (dx, dy, dz) before it.
  uint64_t step(int32_t dx, int32_t dy, int32_t dz) const {
    const auto part = [](int32_t d, int by) { return static_cast<uint64_t>(static_cast<int64_t>(d)) << by; };
    return part(dx, shift[1]) + part(dy, shift[2]) + part(dz, shift[3]);
  }
};

struct SortedVoxels {
  KeyLayout layout;
  std::vector<uint64_t> keys;  // [n + 1], ascending; the last is larger than any key
  std::vector<int32_t> rows;   // [n], equal keys in the order of their rows
};

// Fails where a row is out of range.
SortedVoxels sort_voxels(const int32_t* coords, int64_t n, int32_t margin);

// Fails where two rows are the same voxel.
void require_distinct(const SortedVoxels& voxels);

// Finds ranges of keys; from call to call they ascend.
class Cursor {
 public:
  template <typename Visit>
  void visit(const std::vector<uint64_t>& keys, uint64_t first, uint64_t last, const Visit& visit_position) {
    if (at_ < 0) at_ = std::lower_bound(keys.begin(), keys.end() - 1, first) - keys.begin();
    while (keys[static_cast<std::size_t>(at_)] < first) ++at_;
    for (int64_t i = at_; keys[static_cast<std::size_t>(i)] <= last; ++i) visit_position(static_cast<std::size_t>(i));
  }

 private:
  int64_t at_ = -1;
};

}  // namespace pk
