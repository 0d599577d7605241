// From scores to labels: per voxel, and spread over the points.
#include <algorithm>

#include "common/dtype.hpp"
#include "common/gpu.hpp"
#include "rows/cuda.hpp"

namespace pk {
namespace {

constexpr int64_t kPart = 512;                // rows of a call of the inner loop
constexpr int64_t kSmallestScores = 1 << 13;  // scores a thread
constexpr int64_t kSmallestShare = 1 << 14;   // points a thread

void best_class(const Scores& call, int32_t dtype, int threads) {
  const int64_t size = dtype == PK_FLOAT16 ? 2 : 4;
#pragma omp parallel for num_threads(threads) schedule(static)
  for (int64_t begin = 0; begin < call.rows; begin += kPart)
    row_arithmetic().best_class[dtype]({static_cast<const char*>(call.scores) + begin * call.classes * size,
                                        std::min(kPart, call.rows - begin), call.classes, call.class_ids + begin,
                                        call.probabilities + begin});
}

void spread(const uint8_t* class_ids, const float* probabilities, int64_t n_voxels, const int32_t* inverse, int64_t n,
            uint8_t* point_class_ids, float* point_probabilities, int threads) {
#pragma omp parallel for num_threads(threads) schedule(static)
  for (int64_t i = 0; i < n; ++i) {
    const bool known = inverse[i] >= 0 && inverse[i] < n_voxels;
    point_class_ids[i] = known ? class_ids[inverse[i]] : uint8_t{PK_NO_CLASS};
    point_probabilities[i] = known ? probabilities[inverse[i]] : 0.0F;
  }
}

}  // namespace
}  // namespace pk

extern "C" {

pk_status pk_best_class(const pk_execution* where, const void* scores, int32_t dtype, int64_t rows, int32_t classes,
                        uint8_t* class_ids, float* probabilities) {
  return pk::guarded("best class", [&] {
    pk::require_rows(rows, "rows");
    pk::require(classes >= 1 && classes <= PK_NO_CLASS, "the number of classes must lie in 1..255");
    pk::require_dtype(dtype);
    pk::require_array(scores, rows, "scores");
    pk::require_array(class_ids, rows, "class_ids");
    pk::require_array(probabilities, rows, "probabilities");
    const pk::Scores call{scores, rows, classes, class_ids, probabilities};
    if (const pk::Gpu gpu = pk::gpu_of(where)) return PK_CUDA(pk::cuda::best_class(gpu, call, dtype));
    pk::best_class(call, dtype, pk::useful_threads(pk::cpu_threads(where), rows * classes, pk::kSmallestScores));
  });
}

pk_status pk_spread_labels(const pk_execution* where, const uint8_t* class_ids, const float* probabilities,
                           int64_t n_voxels, const int32_t* inverse, int64_t n, uint8_t* point_class_ids,
                           float* point_probabilities) {
  return pk::guarded("spreading labels", [&] {
    pk::require_rows(n_voxels, "voxels");
    pk::require_rows(n, "points");
    pk::require_array(class_ids, n_voxels, "class_ids");
    pk::require_array(probabilities, n_voxels, "probabilities");
    pk::require_array(inverse, n, "inverse");
    pk::require_array(point_class_ids, n, "point_class_ids");
    pk::require_array(point_probabilities, n, "point_probabilities");
    if (const pk::Gpu gpu = pk::gpu_of(where))
      return PK_CUDA(pk::cuda::spread_labels(gpu, class_ids, probabilities, n_voxels, inverse, n, point_class_ids,
                                             point_probabilities));
    pk::spread(class_ids, probabilities, n_voxels, inverse, n, point_class_ids, point_probabilities,
               pk::useful_threads(pk::cpu_threads(where), n, pk::kSmallestShare));
  });
}
}
