#include "common/grouping.cuh"
#include "common/rows.cuh"
#include "devoxelize/cuda.hpp"
#include "devoxelize/trilinear.hpp"

namespace pk::cuda {
namespace {

template <typename Stored>
__global__ void interpolate(const Stored* features, int64_t n_voxels, int64_t channels, const int32_t* indices,
                            const float* weights, int64_t n, Stored* output) {
  const int64_t point = row_of_thread();
  if (point >= n) return;
  int64_t rows[kCorners];
  float shares[kCorners];
#pragma unroll
  for (int corner = 0; corner < kCorners; ++corner) {
    const int64_t row = __ldg(indices + kCorners * point + corner);
    rows[corner] = row < n_voxels ? row : -1;
    shares[corner] = __ldg(weights + kCorners * point + corner);
  }
  for (int64_t channel = threadIdx.x; channel < channels; channel += blockDim.x) {
    float sum = 0.0F;
#pragma unroll
    for (int corner = 0; corner < kCorners; ++corner)
      if (rows[corner] >= 0) sum += shares[corner] * to_float(features[rows[corner] * channels + channel]);
    output[point * channels + channel] = from_float<Stored>(sum);
  }
}

// Entries are corners of points: 8 to a point.
__global__ void gather_gradient(const float* output_gradient, int64_t channels, const float* weights, GroupsView groups,
                                int64_t n_voxels, float* features_gradient) {
  const int64_t voxel = row_of_thread();
  if (voxel >= n_voxels) return;
  const int64_t begin = groups.begins[voxel];
  const int64_t end = groups.begins[voxel + 1];
  for (int64_t channel = threadIdx.x; channel < channels; channel += blockDim.x) {
    float sum = 0.0F;
    for (int64_t i = begin; i < end; ++i) {
      const int64_t entry = groups.members[i];
      sum += weights[entry] * output_gradient[entry / kCorners * channels + channel];
    }
    features_gradient[voxel * channels + channel] = sum;
  }
}

}  // namespace

template <typename Stored>
void devoxelize(const Gpu& gpu, const Stored* features, int64_t n_voxels, int32_t channels, const int32_t* indices,
                const float* weights, int64_t n, Stored* output) {
  launch(gpu, {{"points", n}, {"voxels", n_voxels}, {"channels", channels}}, interpolate<Stored>, row_grid(n, channels),
         row_block(channels), 0, features, n_voxels, channels, indices, weights, n, output);
}

template void devoxelize(const Gpu&, const float*, int64_t, int32_t, const int32_t*, const float*, int64_t, float*);
template void devoxelize(const Gpu&, const Half*, int64_t, int32_t, const int32_t*, const float*, int64_t, Half*);

void devoxelize_gradient(const Gpu& gpu, const float* output_gradient, int64_t n, int32_t channels,
                         const int32_t* indices, const float* weights, int64_t n_voxels, float* features_gradient) {
  const Groups groups(gpu, indices, kCorners * n, n_voxels);
  launch(gpu, {{"points", n}, {"voxels", n_voxels}, {"channels", channels}}, gather_gradient,
         row_grid(n_voxels, channels), row_block(channels), 0, output_gradient, channels, weights, groups.view(),
         n_voxels, features_gradient);
}

}  // namespace pk::cuda
