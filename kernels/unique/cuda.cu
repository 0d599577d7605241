#include "unique/cuda.hpp"
#include "unique/number_voxels.cuh"

namespace pk::cuda {
namespace {

constexpr int kThreads = 256;

struct Stride {
  int32_t of[3];
};

// The candidates of a numbering: the voxels of coords, each divided by the stride.
struct CoarseVoxel {
  const int32_t* coords;
  Stride stride;

  __device__ Candidate operator()(int64_t row, int32_t* voxel) const {
    const int32_t* c = coords + 4 * row;
    if (!in_range(c)) return Candidate::kInputOutOfRange;
    voxel[0] = c[0];
    for (int axis = 0; axis < 3; ++axis) voxel[axis + 1] = floor_divide(c[axis + 1], stride.of[axis]);
    return Candidate::kVoxel;
  }
};

__global__ void flag_kernel(DeviceHash hash, const int64_t* slots, int64_t n, int32_t* flags) {
  const int64_t i = global_index();
  if (i < n) flags[i] = slots[i] >= 0 && hash.values[slots[i]] == static_cast<unsigned>(i) ? 1 : 0;
}

__global__ void offset_kernel(const int32_t* coords, int64_t n, Stride stride, uint8_t* offset) {
  const int64_t row = global_index();
  if (row >= n || !in_range(coords + 4 * row)) return;  // which the numbering reports
  int32_t place = 0;
  for (int axis = 0; axis < 3; ++axis) {
    const int32_t c = coords[4 * row + axis + 1], step = stride.of[axis];
    place = place * step + c - floor_divide(c, step) * step;
  }
  offset[row] = static_cast<uint8_t>(place);
}

__global__ void count_kernel(const int32_t* inverse, int64_t n, int64_t n_voxels, int32_t* counts) {
  const int64_t row = global_index();
  if (row < n && inverse[row] >= 0 && inverse[row] < n_voxels) atomicAdd(counts + inverse[row], 1);
}

int64_t number_rows(const Gpu& gpu, const int32_t* coords, int64_t n, const Stride& stride,
                    const NumberedVoxels& voxels) {
  const Numbering found = number_voxels(gpu, CoarseVoxel{coords, stride}, n, voxels);
  if (found.first_bad_input != Numbering::kNo) throw_row_out_of_range(gpu, coords, found.first_bad_input);
  return found.count;
}

}  // namespace

void flag_first(const Gpu& gpu, const DeviceHash& hash, const int64_t* slots, int64_t n, int32_t* flags) {
  launch(gpu, {{"candidates", n}}, flag_kernel, blocks(n, kThreads), kThreads, 0, hash, slots, n, flags);
}

void unique(const Gpu& gpu, const int32_t* coords, int64_t n, int32_t* unique_coords, int32_t* first, int32_t* inverse,
            int64_t* count) {
  *count = number_rows(gpu, coords, n, {{1, 1, 1}}, {unique_coords, first, inverse, n});
}

void downsample(const Gpu& gpu, const int32_t* coords, int64_t n, const int32_t* stride, int32_t* coarse_coords,
                int32_t* parent, uint8_t* offset, int64_t* count) {
  const Stride steps{{stride[0], stride[1], stride[2]}};
  launch(gpu, {{"voxels", n}}, offset_kernel, blocks(n, kThreads), kThreads, 0, coords, n, steps, offset);
  *count = number_rows(gpu, coords, n, steps, {coarse_coords, nullptr, parent, n});
}

void voxel_counts(const Gpu& gpu, const int32_t* inverse, int64_t n, int64_t n_voxels, int32_t* counts) {
  fill_bytes(gpu, counts, 0, n_voxels * static_cast<int64_t>(sizeof(*counts)));
  launch(gpu, {{"rows", n}, {"voxels", n_voxels}}, count_kernel, blocks(n, kThreads), kThreads, 0, inverse, n, n_voxels,
         counts);
}

}  // namespace pk::cuda
