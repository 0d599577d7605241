#include "common/call.hpp"
#include "dense_voxels/cpu.hpp"
#include "dense_voxels/cuda.hpp"

namespace pk {
namespace {

constexpr int64_t kSmallestShare = 16384;
constexpr int64_t kMostEntries = 0x7FFFFFFF / kGridCorners;

DenseSizes checked_sizes(int64_t batches, int32_t channels, int64_t n, int32_t resolution) {
  require_rows(batches, "batches");
  require_rows(n, "points");
  require(channels >= 1, "the number of channels must be at least 1");
  require(resolution >= 1 && resolution <= 1024, "the resolution must lie in 1..1024");
  const DenseSizes sizes{batches, channels, n, resolution};
  require(batches == 0 || n <= kMostEntries / batches, "batches times points times 8 must fit 31 bits");
  require_rows(batches * sizes.cells(), "batches times cells");
  return sizes;
}

// The coordinates and the other arrays, of which each has at least one element for every batch or point.
void require_arrays(const DenseSizes& sizes, const float* coordinates, const void* of_points, const void* of_cells) {
  require_array(coordinates, sizes.batches * sizes.n, "coordinates");
  require_array(of_points, sizes.batches * sizes.n, "features");
  require_array(of_cells, sizes.batches, "voxels");
}

int threads_of(const pk_execution* where, const DenseSizes& sizes) {
  return useful_threads(cpu_threads(where), sizes.batches * sizes.n * sizes.channels, kSmallestShare);
}

}  // namespace
}  // namespace pk

extern "C" {

pk_status pk_dense_coordinates(const pk_execution* where, const float* points, int64_t batches, int64_t n,
                               int32_t resolution, int32_t normalize, float eps, float* coordinates) {
  return pk::guarded("dense coordinates", [&] {
    const pk::DenseSizes sizes = pk::checked_sizes(batches, 3, n, resolution);
    pk::require_array(points, batches * n, "points");
    pk::require_array(coordinates, batches * n, "coordinates");
    pk::require(std::isfinite(eps) && eps >= 0.0F, "eps must be a number of at least 0");
    if (const pk::Gpu gpu = pk::gpu_of(where))
      return PK_CUDA(pk::cuda::dense_coordinates(gpu, points, sizes, normalize != 0, eps, coordinates));
    pk::cpu::dense_coordinates(points, sizes, normalize != 0, eps, coordinates, pk::threads_of(where, sizes));
  });
}

pk_status pk_dense_voxelize(const pk_execution* where, const float* features, const float* coordinates, int64_t batches,
                            int32_t channels, int64_t n, int32_t resolution, float* voxels, int32_t* counts) {
  return pk::guarded("dense voxelize", [&] {
    const pk::DenseSizes sizes = pk::checked_sizes(batches, channels, n, resolution);
    pk::require_arrays(sizes, coordinates, features, voxels);
    pk::require_array(counts, batches, "counts");
    if (const pk::Gpu gpu = pk::gpu_of(where))
      return PK_CUDA(pk::cuda::dense_voxelize(gpu, features, coordinates, sizes, voxels, counts));
    pk::cpu::dense_voxelize(features, coordinates, sizes, voxels, counts, pk::threads_of(where, sizes));
  });
}

pk_status pk_dense_voxelize_gradient(const pk_execution* where, const float* voxels_gradient, const float* coordinates,
                                     const int32_t* counts, int64_t batches, int32_t channels, int64_t n,
                                     int32_t resolution, float* features_gradient) {
  return pk::guarded("dense voxelize gradient", [&] {
    const pk::DenseSizes sizes = pk::checked_sizes(batches, channels, n, resolution);
    pk::require_arrays(sizes, coordinates, features_gradient, voxels_gradient);
    pk::require_array(counts, batches, "counts");
    if (const pk::Gpu gpu = pk::gpu_of(where))
      return PK_CUDA(
          pk::cuda::dense_voxelize_gradient(gpu, voxels_gradient, coordinates, counts, sizes, features_gradient));
    pk::cpu::dense_voxelize_gradient(voxels_gradient, coordinates, counts, sizes, features_gradient,
                                     pk::threads_of(where, sizes));
  });
}

pk_status pk_dense_devoxelize(const pk_execution* where, const float* voxels, const float* coordinates, int64_t batches,
                              int32_t channels, int64_t n, int32_t resolution, float* features) {
  return pk::guarded("dense devoxelize", [&] {
    const pk::DenseSizes sizes = pk::checked_sizes(batches, channels, n, resolution);
    pk::require_arrays(sizes, coordinates, features, voxels);
    if (const pk::Gpu gpu = pk::gpu_of(where))
      return PK_CUDA(pk::cuda::dense_devoxelize(gpu, voxels, coordinates, sizes, features));
    pk::cpu::dense_devoxelize(voxels, coordinates, sizes, features, pk::threads_of(where, sizes));
  });
}

pk_status pk_dense_devoxelize_gradient(const pk_execution* where, const float* features_gradient,
                                       const float* coordinates, int64_t batches, int32_t channels, int64_t n,
                                       int32_t resolution, float* voxels_gradient) {
  return pk::guarded("dense devoxelize gradient", [&] {
    const pk::DenseSizes sizes = pk::checked_sizes(batches, channels, n, resolution);
    pk::require_arrays(sizes, coordinates, features_gradient, voxels_gradient);
    if (const pk::Gpu gpu = pk::gpu_of(where))
      return PK_CUDA(pk::cuda::dense_devoxelize_gradient(gpu, features_gradient, coordinates, sizes, voxels_gradient));
    pk::cpu::dense_devoxelize_gradient(features_gradient, coordinates, sizes, voxels_gradient,
                                       pk::threads_of(where, sizes));
  });
}
}
