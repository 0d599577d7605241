#include <limits>

#include "boxes/arguments.hpp"
#include "boxes/decoding.hpp"
#include "common/dtype.hpp"

#if defined(PK_WITH_CUDA)
#include "boxes/cuda.hpp"
#endif

namespace pk::boxes {
namespace {

constexpr int64_t kSmallestShare = 2048;  // boxes

void require_indices(const int32_t* indices, int64_t n, int64_t cells) {
  if (indices == nullptr) return;
  for (int64_t i = 0; i < n; ++i)
    require(indices[i] >= 0 && indices[i] < cells, "an index names a cell that does not exist");
}

template <typename Stored>
void decode(const pk_box_maps& maps, const int32_t* indices, int64_t count, float* boxes, int threads) {
  const int64_t n = maps.batches * count;
#pragma omp parallel for num_threads(threads) schedule(static)
  for (int64_t i = 0; i < n; ++i) {
    const int64_t cell = indices != nullptr ? indices[i] : i % count;
    decode_box<Stored>(maps, i / count, cell, boxes + kDecodedColumns * i);
  }
}

void keep_within(const float* boxes, int64_t n, const float* range_m, const float* scores, float* kept_scores) {
  for (int64_t i = 0; i < n; ++i)
    kept_scores[i] = within_range(boxes + kDecodedColumns * i, range_m) ? scores[i] : 0.0F;
}

template <typename Stored>
void query_scores(const Stored* logits, int64_t batches, int64_t classes, int64_t queries, const int32_t* labels,
                  const float* peak_scores, float* scores) {
  for (int64_t i = 0; i < batches * queries; ++i) {
    const int64_t at = (i / queries * classes + labels[i]) * queries + i % queries;
    scores[i] = sigmoid_of(to_float(logits[at])) * peak_scores[i];
  }
}

void require_maps(const pk_box_maps& maps) {
  require(maps.batches >= 0, "the number of batches is negative");
  require_rows(maps.cells, "cells");
  require(maps.grid_width >= 0, "the width of the grid is negative");
  require_dtype(maps.dtype);
  const int64_t values = maps.batches * maps.cells;
  require_array(maps.center, values, "center");
  require_array(maps.height, values, "height");
  require_array(maps.size, values, "size");
  require_array(maps.rotation, values, "rotation");
}

}  // namespace
}  // namespace pk::boxes

extern "C" {

pk_status pk_decode_boxes(const pk_execution* where, const pk_box_maps* maps, const int32_t* indices, int32_t count,
                          const float* range_m, const float* scores, float* boxes, float* kept_scores) {
  return pk::guarded("decode boxes", [&] {
    pk::require(maps != nullptr, "maps is null");
    pk::boxes::require_maps(*maps);
    pk::require(count >= 0, "count is negative");
    pk::require(indices != nullptr || count == maps->cells || maps->batches == 0 || count == 0,
                "without indices, count must be the number of cells");
    const int64_t n = int64_t{maps->batches} * count;
    pk::require_array(boxes, n, "boxes");
    pk::require_array(scores, range_m != nullptr ? n : 0, "scores");
    pk::require_array(kept_scores, range_m != nullptr ? n : 0, "kept_scores");
    if (const pk::Gpu gpu = pk::gpu_of(where))
      return PK_CUDA(pk::cuda::decode_boxes(gpu, *maps, indices, count, range_m, scores, boxes, kept_scores));
    if (n == 0) return;
    pk::boxes::require_indices(indices, n, maps->cells);
    const int threads = pk::useful_threads(pk::cpu_threads(where), n, pk::boxes::kSmallestShare);
    const bool is_float = maps->dtype == PK_FLOAT32;
    (is_float ? pk::boxes::decode<float> : pk::boxes::decode<pk::Half>)(*maps, indices, count, boxes, threads);
    if (range_m != nullptr) pk::boxes::keep_within(boxes, n, range_m, scores, kept_scores);
  });
}

pk_status pk_query_scores(const pk_execution* where, const void* logits, int32_t dtype, int32_t batches,
                          int32_t classes, int32_t queries, const int32_t* labels, const float* peak_scores,
                          float* scores) {
  return pk::guarded("query scores", [&] {
    pk::require(batches >= 0 && queries >= 0, "a size is negative");
    pk::require(classes >= 1, "the number of classes must be at least 1");
    const int64_t n = int64_t{batches} * queries;
    pk::require(n <= std::numeric_limits<int64_t>::max() / 8 / classes, "there are too many logits");
    pk::require_dtype(dtype);
    pk::require_array(logits, n, "logits");
    pk::require_array(labels, n, "labels");
    pk::require_array(peak_scores, n, "peak_scores");
    pk::require_array(scores, n, "scores");
    if (const pk::Gpu gpu = pk::gpu_of(where))
      return PK_CUDA(
          pk::cuda::query_scores(gpu, logits, dtype, batches, classes, queries, labels, peak_scores, scores));
    if (n == 0) return;
    pk::require(pk::cpu_threads(where) >= 1, "the number of threads must be at least 1");
    for (int64_t i = 0; i < n; ++i)
      pk::require(labels[i] >= 0 && labels[i] < classes, "a label names a class that does not exist");
    if (dtype == PK_FLOAT32)
      pk::boxes::query_scores(static_cast<const float*>(logits), batches, classes, queries, labels, peak_scores,
                              scores);
    else
      pk::boxes::query_scores(static_cast<const pk::Half*>(logits), batches, classes, queries, labels, peak_scores,
                              scores);
  });
}
}
