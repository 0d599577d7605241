#include "boxes/arguments.hpp"
#include "boxes/footprints.hpp"

#if defined(PK_WITH_CUDA)
#include "boxes/cuda.hpp"
#endif

namespace pk::boxes {
namespace {

constexpr int64_t kSmallestShare = 4096;  // pairs

void iou_of_all(const float* first, int64_t n_first, const float* second, int64_t n_second, int64_t columns,
                bool three_d, float* iou, int threads) {
  const Footprints many = prepare_all(second, n_second, columns);
  const auto iou_with_many = box_loops().iou;
#pragma omp parallel for num_threads(threads) schedule(dynamic, 8)
  for (int64_t i = 0; i < n_first; ++i)
    iou_with_many(prepare(first + i * columns), many.columns(), n_second, three_d, iou + i * n_second);
}

void iou_of_rows(const float* first, const float* second, int64_t n, int64_t columns, bool three_d, float* result,
                 int threads) {
#pragma omp parallel for num_threads(threads) schedule(static)
  for (int64_t i = 0; i < n; ++i) result[i] = iou(prepare(first + i * columns), prepare(second + i * columns), three_d);
}

bool require_overlap(int32_t overlap) {
  require(overlap == PK_OVERLAP_BEV || overlap == PK_OVERLAP_3D, "the overlap must be BEV (0) or 3D (1)");
  return overlap == PK_OVERLAP_3D;
}

}  // namespace
}  // namespace pk::boxes

extern "C" {

pk_status pk_box_iou(const pk_execution* where, const float* first, int64_t n_first, const float* second,
                     int64_t n_second, int32_t columns, int32_t overlap, float* iou) {
  return pk::guarded("box IoU", [&] {
    pk::boxes::require_boxes(first, n_first, columns, "first");
    pk::boxes::require_boxes(second, n_second, columns, "second");
    pk::require_array(iou, n_first * n_second, "iou");
    const bool three_d = pk::boxes::require_overlap(overlap);
    if (const pk::Gpu gpu = pk::gpu_of(where))
      return PK_CUDA(pk::cuda::box_iou(gpu, first, n_first, second, n_second, columns, three_d, iou));
    const int threads = pk::useful_threads(pk::cpu_threads(where), n_first * n_second, pk::boxes::kSmallestShare);
    pk::boxes::iou_of_all(first, n_first, second, n_second, columns, three_d, iou, threads);
  });
}

pk_status pk_box_iou_aligned(const pk_execution* where, const float* first, const float* second, int64_t n,
                             int32_t columns, int32_t overlap, float* iou) {
  return pk::guarded("aligned box IoU", [&] {
    pk::boxes::require_boxes(first, n, columns, "first");
    pk::boxes::require_boxes(second, n, columns, "second");
    pk::require_array(iou, n, "iou");
    const bool three_d = pk::boxes::require_overlap(overlap);
    if (const pk::Gpu gpu = pk::gpu_of(where))
      return PK_CUDA(pk::cuda::box_iou_aligned(gpu, first, second, n, columns, three_d, iou));
    const int threads = pk::useful_threads(pk::cpu_threads(where), n, pk::boxes::kSmallestShare);
    pk::boxes::iou_of_rows(first, second, n, columns, three_d, iou, threads);
  });
}
}
