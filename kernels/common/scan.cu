#include "common/scan.cuh"

namespace pk::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kEach = 8;
constexpr int kTile = kThreads * kEach;

// Sum over the threads before this one in the block; `total` becomes the sum over all of them.
__device__ int32_t scan_block(int32_t value, int32_t* total) {
  __shared__ int32_t warp_sums[kThreads / kWarp];
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const int warp = static_cast<int>(threadIdx.x) / kWarp;
  int32_t inclusive = value;
  for (int step = 1; step < kWarp; step *= 2) {
    const int32_t before = __shfl_up_sync(kAllLanes, inclusive, static_cast<unsigned>(step));
    if (lane >= step) inclusive += before;
  }
  if (lane == kWarp - 1) warp_sums[warp] = inclusive;
  __syncthreads();
  int32_t before_warp = 0;
  int32_t all = 0;
  for (int i = 0; i < kThreads / kWarp; ++i) {
    before_warp += i < warp ? warp_sums[i] : 0;
    all += warp_sums[i];
  }
  *total = all;
  return before_warp + inclusive - value;
}

// Each tile from 0, and its total.
__global__ void scan_tiles(const int32_t* in, int32_t* out, int32_t* totals, int64_t n) {
  const int64_t begin = static_cast<int64_t>(blockIdx.x) * kTile + static_cast<int64_t>(threadIdx.x) * kEach;
  int32_t sums[kEach];
  int32_t sum = 0;
#pragma unroll
  for (int i = 0; i < kEach; ++i) {
    sums[i] = sum;
    sum += begin + i < n ? in[begin + i] : 0;
  }
  int32_t total = 0;
  const int32_t before = scan_block(sum, &total);
#pragma unroll
  for (int i = 0; i < kEach; ++i)
    if (begin + i < n) out[begin + i] = before + sums[i];
  if (threadIdx.x == 0) totals[blockIdx.x] = total;
}

// totals are scanned here: what lies before each tile, then the sum of all.
__global__ void add_tiles(int32_t* out, const int32_t* totals, int64_t n, unsigned tiles) {
  const int64_t i = global_index();
  if (i < n)
    out[i] += totals[i / kTile];
  else if (i == n)
    out[n] = totals[tiles];
}

__global__ void scan_few(const int32_t* in, int32_t* out, int64_t n) {
  int32_t sum = 0;
  for (int64_t i = 0; i < n; ++i) {
    out[i] = sum;
    sum += in[i];
  }
  out[n] = sum;
}

}  // namespace

void exclusive_scan(const Gpu& gpu, const int32_t* in, int32_t* out, int64_t n) {
  const Sizes sizes = {{"counts", n}};
  if (n <= kEach) return launch(gpu, sizes, scan_few, 1, 1, 0, in, out, n);
  const unsigned tiles = blocks(n, kTile);
  const Scratch<int32_t> totals(gpu, tiles);
  const Scratch<int32_t> offsets(gpu, int64_t{tiles} + 1);
  launch(gpu, sizes, scan_tiles, tiles, kThreads, 0, in, out, totals.data(), n);
  exclusive_scan(gpu, totals.data(), offsets.data(), tiles);
  launch(gpu, sizes, add_tiles, blocks(n + 1, kThreads), kThreads, 0, out, offsets.data(), n, tiles);
}

}  // namespace pk::cuda
