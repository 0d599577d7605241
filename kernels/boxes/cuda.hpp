// The operations on boxes on a GPU; arguments are checked already.
#pragma once

#include "boxes/suppression.hpp"
#include "common/gpu.hpp"

namespace pk::cuda {

void box_iou(const Gpu& gpu, const float* first, int64_t n_first, const float* second, int64_t n_second,
             int64_t columns, bool three_d, float* iou);
void box_iou_aligned(const Gpu& gpu, const float* first, const float* second, int64_t n, int64_t columns, bool three_d,
                     float* iou);

void suppress(const Gpu& gpu, const boxes::Suppression& task, int32_t* kept, int64_t* count);

void heatmap_peaks(const Gpu& gpu, const pk_heatmap& heatmap, int64_t count, float* scores, int32_t* labels,
                   int32_t* cells);

void decode_boxes(const Gpu& gpu, const pk_box_maps& maps, const int32_t* indices, int64_t count, const float* range_m,
                  const float* scores, float* boxes, float* kept_scores);
void query_scores(const Gpu& gpu, const void* logits, int32_t dtype, int64_t batches, int64_t classes, int64_t queries,
                  const int32_t* labels, const float* peak_scores, float* scores);

}  // namespace pk::cuda
