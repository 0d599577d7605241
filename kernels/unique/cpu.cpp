#include <vector>

#include "common/call.hpp"
#include "hash/table.hpp"

namespace pk {
namespace {

// Number the voxels in order of first occurrence; make(row, coords) writes the voxel of a row and returns its key.
template <typename Make>
int64_t number_voxels(int64_t n, int32_t* voxels, int32_t* first, int32_t* inverse, const Make& make) {
  OwnedHash owned(n);
  HashView hash = owned.view();
  int32_t count = 0;
  for (int64_t row = 0; row < n; ++row) {
    int32_t* next = voxels + 4 * static_cast<int64_t>(count);
    inverse[row] = hash.find_or_insert(make(row, next), count);
    if (inverse[row] != count) continue;
    if (first != nullptr) first[count] = static_cast<int32_t>(row);
    ++count;
  }
  return count;
}

int32_t floor_half(int32_t value) { return (value - (value & 1)) / 2; }

}  // namespace
}  // namespace pk

extern "C" {

pk_status pk_unique(const pk_execution* where, const int32_t* coords, int64_t n, int32_t* unique_coords, int32_t* first,
                    int32_t* inverse, int64_t* count) {
  return pk::guarded("unique", [&] {
    pk::cpu_threads(where);
    pk::require_rows(n, "coords");
    pk::require_array(coords, n, "coords");
    pk::require_array(unique_coords, n, "unique_coords");
    pk::require_array(first, n, "first");
    pk::require_array(inverse, n, "inverse");
    pk::require_array(count, 1, "count");
    *count = pk::number_voxels(n, unique_coords, first, inverse, [&](int64_t row, int32_t* voxel) {
      for (int axis = 0; axis < 4; ++axis) voxel[axis] = coords[4 * row + axis];
      return pk::checked_key(coords, row);
    });
  });
}

pk_status pk_downsample(const pk_execution* where, const int32_t* coords, int64_t n, int32_t* coarse_coords,
                        int32_t* parent, uint8_t* offset, int64_t* count) {
  return pk::guarded("downsample", [&] {
    pk::cpu_threads(where);
    pk::require_rows(n, "coords");
    pk::require_array(coords, n, "coords");
    pk::require_array(coarse_coords, n, "coarse_coords");
    pk::require_array(parent, n, "parent");
    pk::require_array(offset, n, "offset");
    pk::require_array(count, 1, "count");
    *count = pk::number_voxels(n, coarse_coords, nullptr, parent, [&](int64_t row, int32_t* voxel) {
      const int32_t* c = coords + 4 * row;
      pk::checked_key(coords, row);
      offset[row] = static_cast<uint8_t>(4 * (c[1] & 1) + 2 * (c[2] & 1) + (c[3] & 1));
      voxel[0] = c[0];
      for (int axis = 1; axis < 4; ++axis) voxel[axis] = pk::floor_half(c[axis]);
      return pk::pack(voxel[0], voxel[1], voxel[2], voxel[3]);
    });
  });
}
}
