#include "boxes/cuda.hpp"
#include "boxes/prepared_box.hpp"
#include "common/cuda.cuh"

namespace pk::cuda {
namespace {

constexpr int kThreads = 256;

__global__ void prepare_boxes(const float* rows, int64_t n, int64_t columns, boxes::PreparedBox* prepared) {
  const int64_t i = global_index();
  if (i < n) prepared[i] = boxes::prepare(rows + i * columns);
}

__global__ void iou_of_pairs(const boxes::PreparedBox* first, const boxes::PreparedBox* second, int64_t n_second,
                             int64_t n_pairs, bool three_d, float* iou) {
  const int64_t pair = global_index();
  if (pair < n_pairs) iou[pair] = boxes::iou(first[pair / n_second], second[pair % n_second], three_d);
}

__global__ void iou_of_rows(const float* first, const float* second, int64_t n, int64_t columns, bool three_d,
                            float* iou) {
  const int64_t i = global_index();
  if (i < n) iou[i] = boxes::iou(boxes::prepare(first + i * columns), boxes::prepare(second + i * columns), three_d);
}

}  // namespace

void box_iou(const Gpu& gpu, const float* first, int64_t n_first, const float* second, int64_t n_second,
             int64_t columns, bool three_d, float* iou) {
  const Scratch<boxes::PreparedBox> rows(gpu, n_first);
  const Scratch<boxes::PreparedBox> others(gpu, n_second);
  const Sizes sizes = {{"first", n_first}, {"second", n_second}};
  launch(gpu, sizes, prepare_boxes, blocks(n_first, kThreads), kThreads, 0, first, n_first, columns, rows.data());
  launch(gpu, sizes, prepare_boxes, blocks(n_second, kThreads), kThreads, 0, second, n_second, columns, others.data());
  const int64_t n_pairs = n_first * n_second;
  launch(gpu, sizes, iou_of_pairs, blocks(n_pairs, kThreads), kThreads, 0, rows.data(), others.data(), n_second,
         n_pairs, three_d, iou);
}

void box_iou_aligned(const Gpu& gpu, const float* first, const float* second, int64_t n, int64_t columns, bool three_d,
                     float* iou) {
  const Sizes sizes = {{"boxes", n}};
  launch(gpu, sizes, iou_of_rows, blocks(n, kThreads), kThreads, 0, first, second, n, columns, three_d, iou);
}

}  // namespace pk::cuda
