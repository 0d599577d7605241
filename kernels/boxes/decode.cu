#include "boxes/cuda.hpp"
#include "boxes/decoding.hpp"
#include "common/cuda.cuh"

namespace pk::cuda {
namespace {

constexpr int kThreads = 128;

struct Range {
  bool given;
  float limits_m[6];
};

template <typename Stored>
__global__ void decode(pk_box_maps maps, const int32_t* indices, int64_t count, int64_t total, Range range,
                       const float* scores, float* decoded, float* kept_scores) {
  const int64_t i = global_index();
  if (i >= total) return;
  const int64_t cell = indices != nullptr ? indices[i] : i % count;
  float box[boxes::kDecodedColumns];
  for (float& value : box) value = NAN;
  if (cell >= 0 && cell < maps.cells) boxes::decode_box<Stored>(maps, i / count, cell, box);
  for (int column = 0; column < boxes::kDecodedColumns; ++column)
    decoded[i * boxes::kDecodedColumns + column] = box[column];
  if (range.given) kept_scores[i] = boxes::within_range(box, range.limits_m) ? scores[i] : 0.0F;
}

template <typename Stored>
__global__ void score_queries(const void* logits, int64_t classes, int64_t queries, int64_t total,
                              const int32_t* labels, const float* peak_scores, float* scores) {
  const int64_t i = global_index();
  if (i >= total) return;
  const int32_t label = labels[i];
  const int64_t at = (i / queries * classes + label) * queries + i % queries;
  const bool exists = label >= 0 && label < classes;
  scores[i] = exists ? boxes::sigmoid_of(to_float(static_cast<const Stored*>(logits)[at])) * peak_scores[i] : 0.0F;
}

}  // namespace

void decode_boxes(const Gpu& gpu, const pk_box_maps& maps, const int32_t* indices, int64_t count, const float* range_m,
                  const float* scores, float* decoded, float* kept_scores) {
  const int64_t total = maps.batches * count;
  Range range = {range_m != nullptr, {}};
  for (int i = 0; range.given && i < 6; ++i) range.limits_m[i] = range_m[i];
  const Sizes sizes = {{"batches", maps.batches}, {"cells", maps.cells}, {"count", count}};
  const auto kernel = maps.dtype == PK_FLOAT32 ? decode<float> : decode<Half>;
  launch(gpu, sizes, kernel, blocks(total, kThreads), kThreads, 0, maps, indices, count, total, range, scores, decoded,
         kept_scores);
}

void query_scores(const Gpu& gpu, const void* logits, int32_t dtype, int64_t batches, int64_t classes, int64_t queries,
                  const int32_t* labels, const float* peak_scores, float* scores) {
  const int64_t total = batches * queries;
  const Sizes sizes = {{"batches", batches}, {"classes", classes}, {"queries", queries}};
  const auto kernel = dtype == PK_FLOAT32 ? score_queries<float> : score_queries<Half>;
  launch(gpu, sizes, kernel, blocks(total, kThreads), kThreads, 0, logits, classes, queries, total, labels, peak_scores,
         scores);
}

}  // namespace pk::cuda
