// Decode and resize along x, then resize along y and scale; a thread for each pixel of either.
#include "common/cuda.cuh"
#include "image/cuda.hpp"
#include "image/decode.hpp"

namespace pk::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kWeightBits = 22;  // after the binary point

struct ColourSums {
  uint32_t red = 0, green = 0, blue = 0;

  // Unsigned products wrap, so that no weight is undefined behaviour.
  __device__ void add(uint32_t pixel, int32_t weight) {
    const auto factor = static_cast<uint32_t>(weight);
    red += (pixel & 255U) * factor;
    green += ((pixel >> 8) & 255U) * factor;
    blue += (pixel >> 16) * factor;
  }
  __device__ static uint32_t rounded(uint32_t sum) {
    return clamp_level(static_cast<int32_t>(sum + (1U << (kWeightBits - 1))) >> kWeightBits);
  }
  __device__ uint32_t pixel() const { return pack_rgb(rounded(red), rounded(green), rounded(blue)); }
};

__global__ void resize_columns(pk_image_call call, uint32_t* intermediate) {
  const int64_t i = global_index();
  const int64_t size = call.columns.size;
  if (i >= call.row_count * size) return;
  const int64_t row = i / size;
  const int64_t x = i % size;
  const int64_t begin = call.columns.begins[x];
  const int32_t* weights = call.columns.weights + x * call.columns.taps;
  ColourSums sums;
  for (int32_t k = 0; k < call.columns.taps; ++k)
    if (begin + k >= 0 && begin + k < call.width)
      sums.add(decode_pixel(call, static_cast<int32_t>(begin + k), static_cast<int32_t>(call.first_row + row)),
               weights[k]);
  intermediate[i] = sums.pixel();
}

template <typename Stored>
__device__ void store_scaled(const pk_image_call& call, uint32_t pixel, int64_t i) {
  const int64_t plane = static_cast<int64_t>(call.rows.size) * call.columns.size;
#pragma unroll
  for (int c = 0; c < 3; ++c) {
    const int shift = 8 * (call.bgr != 0 ? 2 - c : c);
    const float value = fmaf(static_cast<float>((pixel >> shift) & 255U), call.scale[c], call.offset[c]);
    static_cast<Stored*>(call.output)[call.channels_last != 0 ? 3 * i + c : c * plane + i] = from_float<Stored>(value);
  }
}

template <typename Stored>
__global__ void resize_rows(pk_image_call call, const uint32_t* intermediate) {
  const int64_t i = global_index();
  const int64_t width = call.columns.size;
  if (i >= call.rows.size * width) return;
  const int64_t y = i / width;
  const int64_t begin = static_cast<int64_t>(call.rows.begins[y]) - call.first_row;
  const int32_t* weights = call.rows.weights + y * call.rows.taps;
  ColourSums sums;
  for (int32_t k = 0; k < call.rows.taps; ++k)
    if (begin + k >= 0 && begin + k < call.row_count)
      sums.add(intermediate[(begin + k) * width + i % width], weights[k]);
  store_scaled<Stored>(call, sums.pixel(), i);
}

}  // namespace

void image_resize(const Gpu& gpu, const pk_image_call& call) {
  const int64_t width = call.columns.size;
  const int64_t pixels = call.rows.size * width;
  const Sizes sizes = {{"height", call.height}, {"width", call.width}, {"rows", call.rows.size}, {"columns", width}};
  const Scratch<uint32_t> intermediate(gpu, call.row_count * width);
  launch(gpu, sizes, resize_columns, blocks(call.row_count * width, kThreads), kThreads, 0, call, intermediate.data());
  if (call.dtype == PK_FLOAT32)
    launch(gpu, sizes, resize_rows<float>, blocks(pixels, kThreads), kThreads, 0, call, intermediate.data());
  else
    launch(gpu, sizes, resize_rows<Half>, blocks(pixels, kThreads), kThreads, 0, call, intermediate.data());
}

}  // namespace pk::cuda
