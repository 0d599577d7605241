#include "common/dtype.hpp"
#include "common/rows.cuh"
#include "perception_kernels/rows.h"
#include "rows/cuda.hpp"

namespace pk::cuda {
namespace {

constexpr int kThreads = 256;

// The lanes of a row put together what they found; all lanes of the warp take part, whether their rows exist or not.
__device__ inline void highest_of_row(float& best, int& id) {
  for (unsigned step = blockDim.x / 2; step > 0; step /= 2) {
    const float other = __shfl_xor_sync(kAllLanes, best, static_cast<int>(step));
    const int other_id = __shfl_xor_sync(kAllLanes, id, static_cast<int>(step));
    if (other > best || (other == best && other_id < id)) {
      best = other;
      id = other_id;
    }
  }
}

__device__ inline float sum_of_row(float value) {
  for (unsigned step = blockDim.x / 2; step > 0; step /= 2)
    value += __shfl_xor_sync(kAllLanes, value, static_cast<int>(step));
  return value;
}

template <typename Stored>
__global__ void best_class_of_rows(Scores call) {
  const int64_t row = row_of_thread();
  const int classes = row < call.rows ? static_cast<int>(call.classes) : 0;
  const Stored* scores = static_cast<const Stored*>(call.scores) + row * call.classes;
  float best = -INFINITY;
  int id = PK_NO_CLASS;
  for (int c = static_cast<int>(threadIdx.x); c < classes; c += static_cast<int>(blockDim.x)) {
    const float score = to_float(scores[c]);
    if (score > best) {  // NaN is above nothing
      best = score;
      id = c;
    }
  }
  highest_of_row(best, id);
  float sum = 0.0F;
  for (int c = static_cast<int>(threadIdx.x); c < classes; c += static_cast<int>(blockDim.x))
    sum += expf(to_float(scores[c]) - best);
  sum = sum_of_row(sum);
  if (row >= call.rows || threadIdx.x != 0) return;
  const bool known = sum == sum;  // not after a NaN, or an infinity less itself
  call.class_ids[row] = static_cast<uint8_t>(known ? id : PK_NO_CLASS);
  call.probabilities[row] = known ? 1.0F / sum : 0.0F;
}

__global__ void spread(const uint8_t* class_ids, const float* probabilities, int64_t n_voxels, const int32_t* inverse,
                       int64_t n, uint8_t* point_class_ids, float* point_probabilities) {
  const int64_t point = global_index();
  if (point >= n) return;
  const int64_t voxel = inverse[point];
  const bool known = voxel >= 0 && voxel < n_voxels;
  point_class_ids[point] = known ? class_ids[voxel] : uint8_t{PK_NO_CLASS};
  point_probabilities[point] = known ? probabilities[voxel] : 0.0F;
}

}  // namespace

void best_class(const Gpu& gpu, const Scores& call, int32_t dtype) {
  with_stored(dtype, [&](auto stored) {
    launch(gpu, {{"rows", call.rows}, {"classes", call.classes}}, best_class_of_rows<decltype(stored)>,
           row_grid(call.rows, call.classes), row_block(call.classes), 0, call);
  });
}

void spread_labels(const Gpu& gpu, const uint8_t* class_ids, const float* probabilities, int64_t n_voxels,
                   const int32_t* inverse, int64_t n, uint8_t* point_class_ids, float* point_probabilities) {
  launch(gpu, {{"points", n}, {"voxels", n_voxels}}, spread, blocks(n, kThreads), kThreads, 0, class_ids, probabilities,
         n_voxels, inverse, n, point_class_ids, point_probabilities);
}

}  // namespace pk::cuda
