#include "devoxelize/cuda.hpp"
#include "devoxelize/trilinear.hpp"
#include "hash/device_hash.cuh"

namespace pk::cuda {
namespace {

constexpr int kThreads = 128;

__global__ void fill_table(const float* points, int64_t n, float stride, DeviceHash hash, int32_t* indices,
                           float* weights) {
  const int64_t i = global_index();
  if (i >= n) return;
  Cell cell{};
  float fraction[3];
  int32_t rows[kCorners];
  float shares[kCorners] = {};
  const bool good = locate(points + 4 * i, stride, cell, fraction);
  const uint64_t key = good ? pack(cell.batch, cell.x, cell.y, cell.z) : 0;
  for (int corner = 0; corner < kCorners; ++corner) rows[corner] = good ? hash.find(key + corner_step(corner)) : -1;
  if (good) weigh_corners(fraction, rows, shares);
  for (int corner = 0; corner < kCorners; ++corner) {
    indices[kCorners * i + corner] = rows[corner];
    weights[kCorners * i + corner] = shares[corner];
  }
}

}  // namespace

void trilinear_table(const Gpu& gpu, const float* points, int64_t n, int32_t stride, const pk_hash& hash,
                     int32_t* indices, float* weights) {
  launch(gpu, {{"points", n}}, fill_table, blocks(n, kThreads), kThreads, 0, points, n, static_cast<float>(stride),
         device_hash(hash), indices, weights);
}

}  // namespace pk::cuda
