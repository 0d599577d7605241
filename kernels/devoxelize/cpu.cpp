#include <vector>

#include "common/dtype.hpp"
#include "common/gpu.hpp"
#include "common/grouping.hpp"
#include "common/indices.hpp"
#include "common/row_loops.hpp"
#include "devoxelize/cuda.hpp"
#include "devoxelize/trilinear.hpp"

namespace pk {
namespace {

constexpr int64_t kSmallestShare = 2048;

template <typename Stored>
void interpolate(const Stored* features, int64_t channels, const int32_t* indices, const float* weights, int64_t n,
                 Stored* output, int threads) {
  const auto kernel = weighted_rows_of<Stored>();
#pragma omp parallel for num_threads(threads) schedule(static)
  for (int64_t i = 0; i < n; ++i)
    kernel({features, channels, indices + kCorners * i, weights + kCorners * i, kCorners, 1.0F}, output + i * channels);
}

void spread(const float* output_gradient, int64_t n, int64_t channels, const int32_t* indices, const float* weights,
            int64_t n_voxels, float* features_gradient, int threads) {
  Groups groups = group_entries(indices, kCorners * n, n_voxels);
  std::vector<float> ordered(groups.members.size());
  for (size_t entry = 0; entry < ordered.size(); ++entry) {
    ordered[entry] = weights[groups.members[entry]];
    groups.members[entry] /= kCorners;  // from here on the point
  }
  const auto kernel = row_loops().weighted_rows;
#pragma omp parallel for num_threads(threads) schedule(dynamic, 64)
  for (int64_t voxel = 0; voxel < n_voxels; ++voxel) {
    const int64_t begin = groups.begins[static_cast<size_t>(voxel)];
    const int64_t count = groups.begins[static_cast<size_t>(voxel) + 1] - begin;
    kernel({output_gradient, channels, groups.members.data() + begin, ordered.data() + begin, count, 1.0F},
           features_gradient + voxel * channels);
  }
}

void require_sizes(int64_t n, int64_t n_voxels, int32_t channels) {
  require_rows(n, "points");
  require_rows(kCorners * n, "points times 8");
  require_rows(n_voxels, "voxels");
  require(channels >= 1, "the number of channels must be at least 1");
}

}  // namespace
}  // namespace pk

extern "C" {

pk_status pk_devoxelize(const pk_execution* where, const void* features, int32_t dtype, int64_t n_voxels,
                        int32_t channels, const int32_t* indices, const float* weights, int64_t n, void* output) {
  return pk::guarded("devoxelize", [&] {
    pk::require_sizes(n, n_voxels, channels);
    pk::require_array(features, n_voxels, "features");
    pk::require_array(indices, n, "indices");
    pk::require_array(weights, n, "weights");
    pk::require_array(output, n, "output");
    pk::with_stored(dtype, [&](auto stored) {
      using Stored = decltype(stored);
      const auto* from = static_cast<const Stored*>(features);
      auto* to = static_cast<Stored*>(output);
      if (const pk::Gpu gpu = pk::gpu_of(where))
        return PK_CUDA(pk::cuda::devoxelize(gpu, from, n_voxels, channels, indices, weights, n, to));
      const int threads = pk::useful_threads(pk::cpu_threads(where), n, pk::kSmallestShare);
      pk::require_indices(indices, pk::kCorners * n, n_voxels, threads, "an index names a voxel that does not exist");
      pk::interpolate(from, channels, indices, weights, n, to, threads);
    });
  });
}

pk_status pk_devoxelize_gradient(const pk_execution* where, const float* output_gradient, int64_t n, int32_t channels,
                                 const int32_t* indices, const float* weights, int64_t n_voxels,
                                 float* features_gradient) {
  return pk::guarded("devoxelize gradient", [&] {
    pk::require_sizes(n, n_voxels, channels);
    pk::require_array(output_gradient, n, "output_gradient");
    pk::require_array(indices, n, "indices");
    pk::require_array(weights, n, "weights");
    pk::require_array(features_gradient, n_voxels, "features_gradient");
    if (const pk::Gpu gpu = pk::gpu_of(where))
      return PK_CUDA(pk::cuda::devoxelize_gradient(gpu, output_gradient, n, channels, indices, weights, n_voxels,
                                                   features_gradient));
    pk::spread(output_gradient, n, channels, indices, weights, n_voxels, features_gradient,
               pk::useful_threads(pk::cpu_threads(where), n, pk::kSmallestShare));
  });
}
}
