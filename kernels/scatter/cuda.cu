#include "common/grouping.cuh"
#include "common/rows.cuh"
#include "scatter/cuda.hpp"

namespace pk::cuda {
namespace {

template <typename Stored>
__global__ void average(const Stored* features, int64_t channels, GroupsView groups, int64_t n_voxels, Stored* means,
                        int32_t* counts) {
  const int64_t voxel = row_of_thread();
  if (voxel >= n_voxels) return;
  const int64_t begin = groups.begins[voxel];
  const int64_t end = groups.begins[voxel + 1];
  if (counts != nullptr && threadIdx.x == 0) counts[voxel] = static_cast<int32_t>(end - begin);
  const float scale = end > begin ? 1.0F / static_cast<float>(end - begin) : 0.0F;
  for (int64_t channel = threadIdx.x; channel < channels; channel += blockDim.x) {
    float sum = 0.0F;
    for (int64_t i = begin; i < end; ++i) sum += to_float(features[groups.members[i] * channels + channel]);
    means[voxel * channels + channel] = from_float<Stored>(sum * scale);
  }
}

__global__ void spread(const float* means_gradient, int64_t n_voxels, int64_t channels, const int32_t* index,
                       const int32_t* counts, int64_t n, float* features_gradient) {
  const int64_t point = row_of_thread();
  if (point >= n) return;
  const int64_t voxel = index[point];
  const bool exists = voxel >= 0 && voxel < n_voxels;
  const float scale = exists ? 1.0F / static_cast<float>(counts[voxel]) : 0.0F;
  for (int64_t channel = threadIdx.x; channel < channels; channel += blockDim.x)
    features_gradient[point * channels + channel] = exists ? means_gradient[voxel * channels + channel] * scale : 0.0F;
}

}  // namespace

template <typename Stored>
void scatter_mean(const Gpu& gpu, const Stored* features, int64_t n, int32_t channels, const int32_t* index,
                  int64_t n_voxels, Stored* means, int32_t* counts) {
  const Groups groups(gpu, index, n, n_voxels);
  launch(gpu, {{"points", n}, {"voxels", n_voxels}, {"channels", channels}}, average<Stored>,
         row_grid(n_voxels, channels), row_block(channels), 0, features, channels, groups.view(), n_voxels, means,
         counts);
}

template void scatter_mean(const Gpu&, const float*, int64_t, int32_t, const int32_t*, int64_t, float*, int32_t*);
template void scatter_mean(const Gpu&, const Half*, int64_t, int32_t, const int32_t*, int64_t, Half*, int32_t*);

void scatter_mean_gradient(const Gpu& gpu, const float* means_gradient, int64_t n_voxels, int32_t channels,
                           const int32_t* index, const int32_t* counts, int64_t n, float* features_gradient) {
  launch(gpu, {{"points", n}, {"voxels", n_voxels}, {"channels", channels}}, spread, row_grid(n, channels),
         row_block(channels), 0, means_gradient, n_voxels, channels, index, counts, n, features_gradient);
}

}  // namespace pk::cuda
