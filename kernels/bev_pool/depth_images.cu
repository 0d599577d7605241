// LiDAR points as sparse depth images of the cameras. The point with the highest index wins a pixel, whatever order
// threads run in.
#include "bev_pool/cuda.hpp"
#include "bev_pool/projection.hpp"
#include "common/cuda.cuh"

namespace pk::cuda {
namespace {

constexpr int kThreads = 256;

struct CameraView {
  const float* points;
  int64_t n;
  int64_t columns;
  const float* image_from_lidar;
  const float* augmentation;
  int32_t height;
  int32_t width;

  __device__ int64_t pixels() const { return static_cast<int64_t>(height) * width; }
  __device__ DepthPixel project(int64_t camera, int64_t point) const {
    return depth_pixel(points + point * columns, image_from_lidar + 16 * camera,
                       augmentation == nullptr ? nullptr : augmentation + 16 * camera, height, width);
  }
};

__global__ void find_winners(CameraView view, int64_t cameras, int32_t* winners) {
  const int64_t i = global_index();
  if (i >= cameras * view.n) return;
  const int64_t camera = i / view.n;
  const DepthPixel pixel = view.project(camera, i % view.n);
  if (pixel.index >= 0) atomicMax(winners + camera * view.pixels() + pixel.index, static_cast<int32_t>(i % view.n));
}

__global__ void draw_winners(CameraView view, int64_t cameras, const int32_t* winners, float* depth) {
  const int64_t i = global_index();
  if (i >= cameras * view.pixels()) return;
  depth[i] = winners[i] >= 0 ? view.project(i / view.pixels(), winners[i]).depth_m : 0.0F;
}

}  // namespace

void depth_images(const Gpu& gpu, const float* points, int64_t n, int32_t columns, const float* image_from_lidar,
                  const float* augmentation, int32_t cameras, int32_t height, int32_t width, float* depth) {
  const CameraView view{points, n, columns, image_from_lidar, augmentation, height, width};
  const int64_t pixels = int64_t{height} * width * cameras;
  const Sizes sizes = {{"points", n}, {"cameras", cameras}, {"pixels", pixels}};
  const Scratch<int32_t> winners(gpu, pixels);
  fill_bytes(gpu, winners.data(), 0xFF, pixels * static_cast<int64_t>(sizeof(int32_t)));
  launch(gpu, sizes, find_winners, blocks(cameras * n, kThreads), kThreads, 0, view, cameras, winners.data());
  launch(gpu, sizes, draw_winners, blocks(pixels, kThreads), kThreads, 0, view, cameras, winners.data(), depth);
}

}  // namespace pk::cuda
