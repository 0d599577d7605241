#include <algorithm>
#include <vector>

#include "common/call.hpp"
#include "hash/table.hpp"
#include "unique/cuda.hpp"
#include "unique/voxel_numbers.hpp"

namespace pk {
namespace {

// Number the voxels in order of first occurrence; make(row, voxel) writes the voxel of a row.
template <typename Make>
int64_t number_voxels(int64_t n, int32_t* voxels, int32_t* first, int32_t* inverse, const Make& make) {
  VoxelNumbers numbers(voxels, n);
  for (int64_t row = 0; row < n; ++row) {
    int32_t* candidate = numbers.next();
    const int32_t before = numbers.count();
    make(row, candidate);
    inverse[row] = numbers.find_or_add(candidate);
    if (first != nullptr && inverse[row] == before) first[before] = static_cast<int32_t>(row);
  }
  return numbers.count();
}

// Division by the stride of an axis, rounded down; by shifting where that does it.
struct Divider {
  explicit Divider(int32_t stride_) : stride(stride_), shift(-1) {
    if ((stride & (stride - 1)) == 0)
      for (shift = 0; stride >> shift > 1;) ++shift;
  }
  int32_t floor(int32_t value) const { return shift >= 0 ? value >> shift : floor_divide(value, stride); }
  int32_t stride;
  int shift;
};

int64_t downsample(const int32_t* coords, int64_t n, const int32_t* stride, int32_t* coarse_coords, int32_t* parent,
                   uint8_t* offset) {
  const Divider dividers[3] = {Divider(stride[0]), Divider(stride[1]), Divider(stride[2])};
  return number_voxels(n, coarse_coords, nullptr, parent, [&](int64_t row, int32_t* voxel) {
    checked_key(coords, row);
    const int32_t* c = coords + 4 * row;
    int32_t place = 0;
    voxel[0] = c[0];
    for (int axis = 0; axis < 3; ++axis) {
      voxel[axis + 1] = dividers[axis].floor(c[axis + 1]);
      place = place * stride[axis] + c[axis + 1] - voxel[axis + 1] * stride[axis];
    }
    offset[row] = static_cast<uint8_t>(place);
  });
}

int64_t unique(const int32_t* coords, int64_t n, int32_t* unique_coords, int32_t* first, int32_t* inverse) {
  return number_voxels(n, unique_coords, first, inverse, [&](int64_t row, int32_t* voxel) {
    checked_key(coords, row);
    std::copy_n(coords + 4 * row, 4, voxel);
  });
}

void count_rows(const int32_t* inverse, int64_t n, int64_t n_voxels, int32_t* counts) {
  std::fill_n(counts, n_voxels, 0);
  for (int64_t row = 0; row < n; ++row) {
    require(inverse[row] >= -1 && inverse[row] < n_voxels, "inverse names a voxel that does not exist");
    if (inverse[row] >= 0) ++counts[inverse[row]];
  }
}

void require_stride(const int32_t* stride) {
  require_array(stride, 3, "stride");
  for (int axis = 0; axis < 3; ++axis)
    require(stride[axis] >= 1 && stride[axis] <= 256, "the stride must lie in 1..256");
  require(stride[0] * stride[1] * stride[2] <= 256, "the product of the strides must be at most 256");
}

}  // namespace
}  // namespace pk

extern "C" {

pk_status pk_unique(const pk_execution* where, const int32_t* coords, int64_t n, int32_t* unique_coords, int32_t* first,
                    int32_t* inverse, int64_t* count) {
  return pk::guarded("unique", [&] {
    pk::require_rows(n, "coords");
    pk::require_array(coords, n, "coords");
    pk::require_array(unique_coords, n, "unique_coords");
    pk::require_array(first, n, "first");
    pk::require_array(inverse, n, "inverse");
    pk::require_array(count, 1, "count");
    if (const pk::Gpu gpu = pk::gpu_of(where))
      return PK_CUDA(pk::cuda::unique(gpu, coords, n, unique_coords, first, inverse, count));
    pk::cpu_threads(where);
    *count = pk::unique(coords, n, unique_coords, first, inverse);
  });
}

pk_status pk_voxel_counts(const pk_execution* where, const int32_t* inverse, int64_t n, int64_t n_voxels,
                          int32_t* counts) {
  return pk::guarded("voxel counts", [&] {
    pk::require_rows(n, "rows");
    pk::require_rows(n_voxels, "voxels");
    pk::require_array(inverse, n, "inverse");
    pk::require_array(counts, n_voxels, "counts");
    if (const pk::Gpu gpu = pk::gpu_of(where))
      return PK_CUDA(pk::cuda::voxel_counts(gpu, inverse, n, n_voxels, counts));
    pk::cpu_threads(where);
    pk::count_rows(inverse, n, n_voxels, counts);
  });
}

pk_status pk_downsample(const pk_execution* where, const int32_t* coords, int64_t n, const int32_t stride[3],
                        int32_t* coarse_coords, int32_t* parent, uint8_t* offset, int64_t* count) {
  return pk::guarded("downsample", [&] {
    pk::require_rows(n, "coords");
    pk::require_array(coords, n, "coords");
    pk::require_stride(stride);
    pk::require_array(coarse_coords, n, "coarse_coords");
    pk::require_array(parent, n, "parent");
    pk::require_array(offset, n, "offset");
    pk::require_array(count, 1, "count");
    if (const pk::Gpu gpu = pk::gpu_of(where))
      return PK_CUDA(pk::cuda::downsample(gpu, coords, n, stride, coarse_coords, parent, offset, count));
    pk::cpu_threads(where);
    *count = pk::downsample(coords, n, stride, coarse_coords, parent, offset);
  });
}
}
