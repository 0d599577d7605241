#include "common/dtype.hpp"
#include "common/gpu.hpp"
#include "common/grouping.hpp"
#include "common/row_loops.hpp"
#include "scatter/cuda.hpp"

namespace pk {
namespace {

constexpr int64_t kSmallestShare = 4096;

template <typename Stored>
void average(const Stored* features, int64_t channels, const Groups& groups, int64_t n_voxels, Stored* means,
             int32_t* counts, int threads) {
  const auto kernel = weighted_rows_of<Stored>();
#pragma omp parallel for num_threads(threads) schedule(dynamic, 256)
  for (int64_t voxel = 0; voxel < n_voxels; ++voxel) {
    const int64_t begin = groups.begins[static_cast<size_t>(voxel)];
    const int64_t count = groups.begins[static_cast<size_t>(voxel) + 1] - begin;
    const float scale = count > 0 ? 1.0F / static_cast<float>(count) : 0.0F;
    kernel({features, channels, groups.members.data() + begin, nullptr, count, scale}, means + voxel * channels);
    if (counts != nullptr) counts[voxel] = static_cast<int32_t>(count);
  }
}

void spread(const float* means_gradient, int64_t channels, const int32_t* index, const int32_t* counts, int64_t n,
            float* features_gradient, int threads) {
  const auto kernel = row_loops().weighted_rows;
#pragma omp parallel for num_threads(threads) schedule(static)
  for (int64_t i = 0; i < n; ++i) {
    const float scale = index[i] >= 0 ? 1.0F / static_cast<float>(counts[index[i]]) : 0.0F;
    kernel({means_gradient, channels, index + i, nullptr, 1, scale}, features_gradient + i * channels);
  }
}

void require_sizes(int64_t n, int64_t n_voxels, int32_t channels) {
  require_rows(n, "points");
  require_rows(n_voxels, "voxels");
  require(channels >= 1, "the number of channels must be at least 1");
}

}  // namespace
}  // namespace pk

extern "C" {

pk_status pk_scatter_mean(const pk_execution* where, const void* features, int32_t dtype, int64_t n, int32_t channels,
                          const int32_t* index, int64_t n_voxels, void* means, int32_t* counts) {
  return pk::guarded("scatter mean", [&] {
    pk::require_sizes(n, n_voxels, channels);
    pk::require_array(features, n, "features");
    pk::require_array(index, n, "index");
    pk::require_array(means, n_voxels, "means");
    pk::with_stored(dtype, [&](auto stored) {
      using Stored = decltype(stored);
      const auto* from = static_cast<const Stored*>(features);
      auto* to = static_cast<Stored*>(means);
      if (const pk::Gpu gpu = pk::gpu_of(where))
        return PK_CUDA(pk::cuda::scatter_mean(gpu, from, n, channels, index, n_voxels, to, counts));
      const int threads = pk::useful_threads(pk::cpu_threads(where), n, pk::kSmallestShare);
      pk::average(from, channels, pk::group_entries(index, n, n_voxels), n_voxels, to, counts, threads);
    });
  });
}

pk_status pk_scatter_mean_gradient(const pk_execution* where, const float* means_gradient, int64_t n_voxels,
                                   int32_t channels, const int32_t* index, const int32_t* counts, int64_t n,
                                   float* features_gradient) {
  return pk::guarded("scatter mean gradient", [&] {
    pk::require_sizes(n, n_voxels, channels);
    pk::require_array(means_gradient, n_voxels, "means_gradient");
    pk::require_array(counts, n_voxels, "counts");
    pk::require_array(index, n, "index");
    pk::require_array(features_gradient, n, "features_gradient");
    if (const pk::Gpu gpu = pk::gpu_of(where))
      return PK_CUDA(pk::cuda::scatter_mean_gradient(gpu, means_gradient, n_voxels, channels, index, counts, n,
                                                     features_gradient));
    pk::require_groups(index, n, n_voxels, "an index names a voxel that does not exist");
    pk::spread(means_gradient, channels, index, counts, n, features_gradient,
               pk::useful_threads(pk::cpu_threads(where), n, pk::kSmallestShare));
  });
}
}
