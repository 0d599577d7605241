// LiDAR points as sparse depth images of the cameras.
#include <algorithm>

#include "bev_pool/cuda.hpp"
#include "bev_pool/projection.hpp"

namespace pk {
namespace {

constexpr int64_t kSmallestShareOfProjections = 1 << 13;

// A camera is one thread's, which keeps the order of points.
void draw_cameras(const float* points, int64_t n, int32_t columns, const float* image_from_lidar,
                  const float* augmentation, int32_t cameras, int32_t height, int32_t width, int threads,
                  float* depth) {
  const int64_t pixels = int64_t{height} * width;
#pragma omp parallel for num_threads(threads) schedule(dynamic)
  for (int32_t camera = 0; camera < cameras; ++camera) {
    float* image = depth + camera * pixels;
    const float* moved = augmentation == nullptr ? nullptr : augmentation + 16 * camera;
    std::fill_n(image, pixels, 0.0F);
    for (int64_t i = 0; i < n; ++i) {
      const DepthPixel pixel = depth_pixel(points + i * columns, image_from_lidar + 16 * camera, moved, height, width);
      if (pixel.index >= 0) image[pixel.index] = pixel.depth_m;
    }
  }
}

}  // namespace
}  // namespace pk

extern "C" pk_status pk_depth_images(const pk_execution* where, const float* points, int64_t n, int32_t columns,
                                     const float* image_from_lidar, const float* augmentation, int32_t cameras,
                                     int32_t height, int32_t width, float* depth) {
  return pk::guarded("depth images", [&] {
    pk::require_rows(n, "points");
    pk::require(columns >= 3, "points must have at least 3 columns");
    pk::require_rows(cameras, "cameras");
    pk::require(height >= 1 && width >= 1, "images must have at least 1 pixel");
    pk::require_rows(int64_t{height} * width, "pixels");
    pk::require_array(points, n, "points");
    pk::require_array(image_from_lidar, cameras, "image_from_lidar");
    pk::require_array(depth, cameras, "depth");
    if (const pk::Gpu gpu = pk::gpu_of(where))
      return PK_CUDA(pk::cuda::depth_images(gpu, points, n, columns, image_from_lidar, augmentation, cameras, height,
                                            width, depth));
    const int threads = pk::useful_threads(pk::cpu_threads(where), n * cameras, pk::kSmallestShareOfProjections);
    pk::draw_cameras(points, n, columns, image_from_lidar, augmentation, cameras, height, width, threads, depth);
  });
}
