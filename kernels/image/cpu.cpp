// Decode and resize along x a few source rows at a time, then resize along y and scale each output row.
#include <omp.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <vector>

#include "common/half.hpp"
#include "image/checks.hpp"
#include "image/cuda.hpp"
#include "image/inner_loops.hpp"

namespace pk {
namespace {

constexpr int64_t kSmallestShareOfPixels = 1 << 14;

// Words of an intermediate row: what the loops read of it in whole blocks.
int64_t padded(int64_t width) { return (width + kMostLanes - 1) / kMostLanes * kMostLanes; }

// Undefined at first, unlike a vector: all that is read was written before.
using Words = std::unique_ptr<uint32_t[]>;
Words words(int64_t count) { return Words(new uint32_t[static_cast<size_t>(count)]); }

// Resize as many rows as there are lanes along x, from row `first` of the call's on.
void resize_group(const pk_image_call& call, int32_t first, int32_t begin, int32_t end, uint32_t* pixels,
                  uint32_t* intermediate) {
  const int64_t stride = padded(call.columns.size);
  ColumnSums sums{pixels, call.columns.begins, call.columns.weights, call.columns.size, call.columns.taps, {}};
  const int lanes = image_loops().lanes;
  for (int r = 0; r < lanes; ++r) {
    const int32_t row = std::min(first + r, call.row_count - 1);  // the last group repeats the last row
    decode_row(call, call.first_row + row, begin, end, pixels + r, lanes);
    sums.targets[r] = intermediate + row * stride;
    std::fill(sums.targets[r] + call.columns.size, sums.targets[r] + stride, 0U);
  }
  image_loops().column_sums(sums);
}

// intermediate [row_count, padded(columns.size)].
void resize_columns(const pk_image_call& call, int threads, uint32_t* intermediate) {
  const auto [lowest, highest] = std::minmax_element(call.columns.begins, call.columns.begins + call.columns.size);
  const int32_t begin = *lowest;
  const int32_t end = *highest + call.columns.taps;
  const int lanes = image_loops().lanes;
  const int64_t group_words = int64_t{call.width} * lanes;
  const Words pixels = words(threads * group_words);
#pragma omp parallel for num_threads(threads) schedule(static)
  for (int32_t first = 0; first < call.row_count; first += lanes)
    resize_group(call, first, begin, end, pixels.get() + omp_get_thread_num() * group_words, intermediate);
}

void scale_row(const pk_image_call& call, int32_t y, const uint32_t* row, const Half* levels) {
  const int64_t width = call.columns.size;
  const bool last = call.channels_last != 0;
  for (int64_t c = 0; c < 3; ++c) {
    const int shift = static_cast<int>(8 * (call.bgr != 0 ? 2 - c : c));
    const int64_t begin = last ? y * width * 3 + c : (c * call.rows.size + y) * width;
    const int64_t stride = last ? 3 : 1;
    if (levels == nullptr) {
      auto* output = static_cast<float*>(call.output) + begin;
      image_loops().scale_channel({row, width, shift, call.scale[c], call.offset[c], output, stride});
    } else {
      auto* output = static_cast<Half*>(call.output) + begin;
      for (int64_t x = 0; x < width; ++x) output[x * stride] = levels[c * 256 + ((row[x] >> shift) & 255U)];
    }
  }
}

// What each level of each channel becomes in half precision: [3, 256]. Empty for float32.
std::vector<Half> half_levels(const pk_image_call& call) {
  std::vector<Half> levels;
  if (call.dtype == PK_FLOAT32) return levels;
  for (int c = 0; c < 3; ++c)
    for (int level = 0; level < 256; ++level)
      levels.push_back(to_half(std::fma(static_cast<float>(level), call.scale[c], call.offset[c])));
  return levels;
}

void resize_rows(const pk_image_call& call, int threads, const uint32_t* intermediate) {
  const int64_t stride = padded(call.columns.size);
  const std::vector<Half> levels = half_levels(call);
  const Words rows = words(threads * stride);
#pragma omp parallel for num_threads(threads) schedule(static)
  for (int32_t y = 0; y < call.rows.size; ++y) {
    uint32_t* row = rows.get() + omp_get_thread_num() * stride;
    const uint32_t* first = intermediate + (call.rows.begins[y] - call.first_row) * stride;
    image_loops().row_sums({first, call.rows.weights + int64_t{y} * call.rows.taps, call.rows.taps, stride, row});
    scale_row(call, y, row, levels.empty() ? nullptr : levels.data());
  }
}

}  // namespace
}  // namespace pk

extern "C" pk_status pk_image_resize(const pk_execution* where, const pk_image_call* call) {
  return pk::guarded("image resize", [&] {
    pk::require_call(call);
    if (const pk::Gpu gpu = pk::gpu_of(where)) return PK_CUDA(pk::cuda::image_resize(gpu, *call));
    pk::require_begins(call->columns, 0, call->width);
    pk::require_begins(call->rows, call->first_row, call->first_row + call->row_count);
    const int64_t pixels = int64_t{call->row_count} * call->columns.size;
    const int threads = pk::useful_threads(pk::cpu_threads(where), pixels, pk::kSmallestShareOfPixels);
    const pk::Words intermediate = pk::words(call->row_count * pk::padded(call->columns.size));
    pk::resize_columns(*call, threads, intermediate.get());
    pk::resize_rows(*call, threads, intermediate.get());
  });
}
