#include "devoxelize/trilinear.hpp"

#include <algorithm>

#include "common/gpu.hpp"
#include "devoxelize/cuda.hpp"
#include "hash/table.hpp"

namespace pk {
namespace {

constexpr int64_t kSmallestShare = 2048;

void find_corners(const HashView& hash, const Cell& cell, int32_t* rows) {
  const uint64_t key = pack(cell.batch, cell.x, cell.y, cell.z);
  for (int corner = 0; corner < kCorners; ++corner) rows[corner] = hash.find(key + corner_step(corner));
}

void fill_trilinear(const float* points, int64_t n, int32_t stride, const HashView& hash, int32_t* indices,
                    float* weights, int threads) {
  int64_t bad_row = n;
#pragma omp parallel num_threads(threads) reduction(min : bad_row)
  {
    Cell last{-1, 0, 0, 0};
    const int32_t* last_rows = nullptr;
#pragma omp for schedule(static)
    for (int64_t i = 0; i < n; ++i) {
      Cell cell{};
      float fraction[3];
      if (!locate(points + 4 * i, static_cast<float>(stride), cell, fraction)) {
        bad_row = std::min(bad_row, i);
        continue;
      }
      int32_t* rows = indices + kCorners * i;
      // A scanner's next point often lies in the same cell.
      if (cell == last)
        std::copy_n(last_rows, kCorners, rows);
      else
        find_corners(hash, cell, rows);
      last = cell;
      last_rows = rows;
      weigh_corners(fraction, rows, weights + kCorners * i);
    }
  }
  if (bad_row < n)
    throw Failure(PK_OUT_OF_RANGE,
                  "point " + std::to_string(bad_row) + " is not finite or lies outside the range of voxels");
}

}  // namespace
}  // namespace pk

extern "C" pk_status pk_trilinear_table(const pk_execution* where, const float* points, int64_t n, int32_t stride,
                                        const pk_hash* hash, int32_t* indices, float* weights) {
  return pk::guarded("trilinear table", [&] {
    pk::require_rows(n, "points");
    pk::require_rows(pk::kCorners * n, "points times 8");
    pk::require(stride >= 1, "the stride must be at least 1");
    pk::require_hash(hash);
    pk::require_array(points, n, "points");
    pk::require_array(indices, n, "indices");
    pk::require_array(weights, n, "weights");
    if (const pk::Gpu gpu = pk::gpu_of(where))
      return PK_CUDA(pk::cuda::trilinear_table(gpu, points, n, stride, *hash, indices, weights));
    pk::fill_trilinear(points, n, stride, pk::HashView(*hash), indices, weights,
                       pk::useful_threads(pk::cpu_threads(where), n, pk::kSmallestShare));
  });
}
